"""How the web process ends: it gives notice, accepts no more, answers what it has, and is gone in time."""

import asyncio
import os
import signal
import threading
from types import FrameType

import structlog

LATEST_S = 4.0
# For all that is left to do after the last answer. uvicorn has waited up to 5 s before (Procfile): under 10 s in all.

EXIT_STATUS = 70

log = structlog.get_logger()


class Ending:
    """Whether this process was told to end, and the time between that and uvicorn's hearing of it.

    uvicorn closes its sockets at once. A balancer that still sends here would meet a reset now and then.
    """

    def __init__(self, *, drain_s: float) -> None:
        self.begun = False
        self._drain_s = drain_s
        self._uvicorns = signal.getsignal(signal.SIGTERM)

    def listen(self) -> None:
        """Hear of SIGTERM before uvicorn does. Call it in the event loop, after uvicorn has set its own handler."""
        if threading.current_thread() is not threading.main_thread():  # as uvicorn: signals come nowhere else
            return
        self._loop = asyncio.get_running_loop()
        self._uvicorns = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        again, self.begun = self.begun, True
        if again or not self._drain_s:
            self._tell_uvicorn(number, frame)
        else:
            self._loop.call_soon_threadsafe(self._drain, number)

    def _drain(self, number: int) -> None:
        log.info("draining", for_s=self._drain_s)
        self._loop.call_later(self._drain_s, self._tell_uvicorn, number, None)

    def _tell_uvicorn(self, number: int, frame: FrameType | None) -> None:
        if callable(self._uvicorns):
            self._uvicorns(number, frame)


def end_in_time(latest_s: float = LATEST_S) -> None:
    """End this process after `latest_s`, if it has not ended by then. Nothing that was answered depends on the rest."""

    def end() -> None:
        log.critical("process ends", reason="something hangs at its end")
        os._exit(EXIT_STATUS)

    timer = threading.Timer(latest_s, end)
    timer.daemon = True
    timer.start()
