"""Watches over a worker process: keeps its claims alive, stops what runs too long, ends it if it cannot be stopped."""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import structlog
from dramatiq.threading import Interrupt, raise_thread_exception
from sqlalchemy import Connection

from ledger.errors import LedgerUnavailable
from ledger.store import Ledger

TICK_S = 1.0
BEAT_INTERVAL_S = 5.0

STUCK_AFTER_S = 20.0
# After its limit. What is still running then hangs where Python cannot interrupt it.

STRIKE_AGAIN_S = 1.0
INTERRUPT_POLL_S = 0.01

EXIT_STATUS = 70
# EX_SOFTWARE: the process manager starts the process again.

log = structlog.get_logger()

Beat = Callable[[Connection, Collection[str]], None]


class RanTooLong(Interrupt):
    """Raised in a thread, wherever it is, when the time that `Watch.limit` gave it is over."""


@dataclass(slots=True)
class _Limit:
    thread_id: int
    until: float  # monotonic seconds
    strike_at: float  # monotonic seconds; again, if an interrupt got lost
    struck: bool = False
    done: bool = False


class Watch:
    """The claims of this process that are being worked on, and the limits of what runs for them."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        tick_s: float = TICK_S,
        beat_interval_s: float = BEAT_INTERVAL_S,
        stuck_after_s: float = STUCK_AFTER_S,
    ) -> None:
        self._ledger = ledger
        self._tick_s = tick_s
        self._beat_interval_s = beat_interval_s
        self._stuck_after_s = stuck_after_s
        self._beats: dict[str, Beat] = {}
        self._limits: dict[object, _Limit] = {}
        self._striking = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._parent = os.getppid()
        self._orphaned = False

    def start(self) -> None:
        """Start the threads: one must not wait for the ledger, which may be locked by what the other has to stop."""
        for name, run in (("watch", self._watch), ("beat", self._beat)):
            self._threads.append(threading.Thread(target=run, name=name, daemon=True))
            self._threads[-1].start()

    def stop(self, timeout_s: float = 0.0) -> None:
        """End the threads; wait so long for each of them, which may be in the middle of a transaction."""
        self._stopping.set()
        for each in self._threads:
            each.join(timeout_s)

    def held(self) -> list[str]:
        """Give the tokens of the claims that are being worked on."""
        return list(self._beats)

    @contextmanager
    def over(self, token: str, beat: Beat) -> Iterator[None]:
        """Keep a claim alive for as long as the block runs."""
        self._beats[token] = beat
        try:
            yield
        finally:
            self._beats.pop(token, None)

    @contextmanager
    def limit(self, seconds: float) -> Iterator[Callable[[], None]]:
        """Interrupt the block when it runs longer. Raises RanTooLong inside it or at its end, and never after it.

        Gives what begins the time anew, for a block that does one thing after the other: what took too long until
        then is interrupted there at the latest.
        """
        key = object()
        until = time.monotonic() + seconds
        limit = self._limits[key] = _Limit(threading.get_ident(), until, strike_at=until)

        def begin_anew() -> None:
            with self._striking:
                if not limit.struck:
                    limit.until = limit.strike_at = time.monotonic() + seconds
                    return
            time.sleep(INTERRUPT_POLL_S)  # here it strikes, or it got lost
            with self._striking:
                limit.struck = False
                limit.until = limit.strike_at = time.monotonic() + seconds

        try:
            yield begin_anew
        finally:
            try:
                self._finish(limit)
                if limit.struck:
                    time.sleep(INTERRUPT_POLL_S)  # here it strikes, if it has not yet: later would be elsewhere
            finally:
                self._finish(limit)  # the first time may have been cut short by the interrupt itself
                self._limits.pop(key, None)

    def _finish(self, limit: _Limit) -> None:
        limit.done = True
        with self._striking:  # what the watch has begun is done; it begins nothing more
            pass

    def _watch(self) -> None:
        while not self._stopping.wait(self._tick_s):
            self._check_parent()
            for limit in list(self._limits.values()):
                self._check(limit, time.monotonic())

    def _check(self, limit: _Limit, now: float) -> None:
        with self._striking:
            if limit.done or now < limit.strike_at:
                return
            if now > limit.until + self._stuck_after_s:
                end_process("what ran too long cannot be interrupted")
            # Python drops an interrupt that strikes in a destructor or a weak reference's callback.
            limit.struck, limit.strike_at = True, now + STRIKE_AGAIN_S
            raise_thread_exception(limit.thread_id, RanTooLong)  # type: ignore[no-untyped-call]

    def _check_parent(self) -> None:
        # Dramatiq's processes outlive a master that was killed; whoever starts a new one then has them twice.
        if os.getppid() != self._parent and not self._orphaned:
            self._orphaned = True  # said once: the second SIGTERM would end what runs in the middle
            log.warning("worker ends", reason="its master process is gone")
            os.kill(os.getpid(), signal.SIGTERM)

    def _beat(self) -> None:
        while not self._stopping.wait(self._beat_interval_s):
            active = self._beats.copy()
            if not active:
                continue
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
