"""One thread a worker process that says "alive" for its claims, and ends the process when that is no longer true."""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import TracebackType

import structlog
from sqlalchemy import Connection

from ledger.errors import LedgerUnavailable
from ledger.store import Ledger

BEAT_INTERVAL_S = 5.0
STUCK_AFTER_S = 30.0
# Longer than any time limit that can interrupt Python code: what is still running then hangs in C.

EXIT_STATUS = 70
# EX_SOFTWARE: the process manager starts the process again.

log = structlog.get_logger()

Beat = Callable[[Connection, Collection[str]], None]


class Watch:
    """The claims of this process that are being worked on, by token."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        beat_interval_s: float = BEAT_INTERVAL_S,
        stuck_after_s: float = STUCK_AFTER_S,
    ) -> None:
        self._ledger = ledger
        self._beat_interval_s = beat_interval_s
        self._stuck_after_s = stuck_after_s
        self._active: dict[str, tuple[Beat, float]] = {}
        self._stopping = threading.Event()
        self._parent = os.getppid()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    @contextmanager
    def over(self, token: str, beat: Beat) -> Iterator[None]:
        """Keep a claim alive for as long as the block runs."""
        self._active[token] = (beat, time.monotonic())
        try:
            yield
        finally:
            self._active.pop(token, None)

    def _run(self) -> None:
        while not self._stopping.wait(self._beat_interval_s):
            self._check_parent()
            active = self._active.copy()
            self._check_stuck([since for _, since in active.values()])
            self._beat({token: beat for token, (beat, _) in active.items()})

    def _check_parent(self) -> None:
        # Dramatiq's processes outlive a master that was killed; whoever starts a new one then has them twice.
        if os.getppid() != self._parent:
            log.warning("worker ends", reason="its master process is gone")
            os.kill(os.getpid(), signal.SIGTERM)

    def _check_stuck(self, since: Collection[float]) -> None:
        if since and time.monotonic() - min(since) > self._stuck_after_s:
            end_process(f"something has been running for more than {self._stuck_after_s:g} s")

    def _beat(self, active: dict[str, Beat]) -> None:
        if not active:
            return
        try:
            with self._ledger.write() as db:
                for beat in set(active.values()):
                    beat(db, [token for token, its in active.items() if its is beat])
        except LedgerUnavailable as error:
            log.warning("claims not kept alive", error=str(error))


def end_process(reason: str) -> None:
    """End this process at once, whatever its threads do. Its claims are freed by the sweeper."""
    log.critical("worker ends", reason=reason)
    os._exit(EXIT_STATUS)


def end_when_a_thread_dies() -> None:
    """Let an uncaught error in any thread end the process.

    A consumer thread of Dramatiq that dies takes its queue with it while the process looks healthy.
    """

    def on_death(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "?"
        _log_traceback(name, args.exc_type, args.exc_value, args.exc_traceback)
        end_process(f"its thread {name} died of {args.exc_type.__name__}")

    threading.excepthook = on_death


def _log_traceback(
    name: str,
    kind: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    log.error("thread died", thread=name, exc_info=(kind, error, traceback))
