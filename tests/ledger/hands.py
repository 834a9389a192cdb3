"""Writers whose other end is a thread of the test and not a process."""

import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from config.metrics import uncounted
from ledger.append import Doorbells
from ledger.commits import Commits
from ledger.store import Ledger
from ledger.writer import KILLED_AFTER_S, Writer
from ledger.writing import serve


class Hand:
    """Serves a line as the process does, from when it may."""

    def __init__(self, commits: Commits, may: threading.Event, line: socket.socket) -> None:
        self._line = line.dup()
        self._thread = threading.Thread(target=self._run, args=(commits, may), daemon=True)
        self._thread.start()

    def _run(self, commits: Commits, may: threading.Event) -> None:
        may.wait()
        with self._line, closing(commits):
            serve(self._line, commits)

    def kill(self) -> None:
        """Hang up, which a thread cannot do without an end of its own."""
        self._line.shutdown(socket.SHUT_RDWR)

    def wait(self) -> int:
        """Wait for its end."""
        self._thread.join()
        return 0


def make_writer(
    ledger: Ledger,
    on_commit: Callable[[Doorbells], None] = lambda _: None,
    *,
    may: threading.Event | None = None,
    hands: list[Hand] | None = None,
    killed_after_s: float = KILLED_AFTER_S,
) -> Writer:
    """Make a writer that is not started yet.

    Args:
        ledger: where to write.
        on_commit: told what is to be announced.
        may: nothing is written before this is set.
        hands: those that are hired are put here.
        killed_after_s: as `Writer` takes it.

    """
    if may is None:
        may = threading.Event()
        may.set()
    hired = [] if hands is None else hands

    def hire(line: socket.socket) -> Hand:
        hired.append(Hand(Commits(ledger, on_commit, metrics=uncounted()), may, line))
        return hired[-1]

    return Writer(hire, metrics=uncounted(), killed_after_s=killed_after_s)


@asynccontextmanager
async def writing(ledger: Ledger, on_commit: Callable[[Doorbells], None] = lambda _: None) -> AsyncIterator[Writer]:
    """Have a writer for the block."""
    writer = make_writer(ledger, on_commit)
    await writer.start()
    yield writer
    await writer.stop()
