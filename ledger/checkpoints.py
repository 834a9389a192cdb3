"""Copy SQLite's log into the ledger's file from a thread of its own, so that nobody who commits waits for it."""

import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerUnavailable
from ledger.store import Ledger

INTERVAL_S = 0.25
# At full load the log grows by a few MB in that time: as much as SQLite by itself copies at once.

log = structlog.get_logger()


class Checkpointer:
    """Copies the log soon after something was written, whoever wrote it. With PostgreSQL there is nothing to do."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the copy that is under way."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        copied = 0  # up to this moment
        while not self._stopping.wait(INTERVAL_S):
            written_at = self._ledger.written_at()
            if written_at == copied:
                continue
            self._copy()
            copied = written_at

    def _copy(self) -> None:
        try:
            self._ledger.checkpoint()
        except (LedgerUnavailable, SQLAlchemyError) as error:  # a later one does it, or whoever commits to a large log
            log.warning("checkpoint failed", error=str(error))
        except ValueError:  # the ledger was closed while somebody else was writing: stop() does not wait for ever
            if not self._stopping.is_set():
                raise
