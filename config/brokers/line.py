"""The line: one thread that alone talks to RabbitMQ about publishing, so that nobody else waits for it for long."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

ANSWER_TIMEOUT_S = 1.0

IDLE_S = 1.0
# Between two looks at a quiet connection: the server closes one on which nobody answers its heartbeats.

MAX_WAITING = 100

LATE = "it does not answer in time"


class TooSlow(OSError):
    """RabbitMQ does not answer in time."""


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], object]
    result: "Future[None]" = field(default_factory=Future)


class Line:
    """Does one thing after the other in a thread of its own. Whoever asked waits a second and not longer.

    A pika connection belongs to one thread, and a call on it returns when the server answers or when enough
    heartbeats were missed: 20 s with the shortest that are sensible. A thread that is being kept waiting has all others
    turned away at once.
    """

    def __init__(self, *, idle: Callable[[], None], leave: Callable[[], None]) -> None:
        """Take what to do now and then while there is nothing to do, and what to do at the end."""
        self._idle = idle
        self._leave = leave
        self._calls: queue.Queue[_Call | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._busy_since: float | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Do this in the thread.

        Raises:
            TooSlow: it was not done within a second; it may be done later.
            Exception: what `work` raised.

        """
        self._start()
        call = _Call(work)
        if self._keeps_waiting():
            raise TooSlow(LATE)
        try:
            self._calls.put_nowait(call)
            call.result.result(ANSWER_TIMEOUT_S)
        except (queue.Full, TimeoutError):
            call.result.cancel()
            raise TooSlow(LATE) from None

    def close(self) -> None:
        """End the thread, if it can be ended within a second."""
        if self._thread is not None and not self._keeps_waiting():
            self._calls.put(None)
            self._thread.join(ANSWER_TIMEOUT_S)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)
                self._thread.start()

    def _keeps_waiting(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > ANSWER_TIMEOUT_S

    def _run(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE_S)
            except queue.Empty:
                self._idle()
                continue
            if call is None:
                self._leave()
                return
            self._answer(call)

    def _answer(self, call: _Call) -> None:
        if not call.result.set_running_or_notify_cancel():
            return
        self._busy_since = time.monotonic()
        try:
            call.work()
        except Exception as error:  # noqa: BLE001  # whoever asked is told
            call.result.set_exception(error)
        else:
            call.result.set_result(None)
        finally:
            self._busy_since = None
