"""Group commit: what concurrent requests hand in is written together, so that they share the price of one fsync."""

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import structlog
from sqlalchemy import Connection

from config.metrics import Metrics
from ledger.append import Appended, Doorbells, Room, append
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.store import Ledger, insert_or_ignore
from ledger.tables import probes

log = structlog.get_logger()

Item: TypeAlias = NewEvent | None
# None: somebody only asks whether a commit is possible.

Outcome: TypeAlias = Receipt | LedgerUnavailable | None
# None: it is.


class Commits:
    """Commits batches, one at a time, all in one thread."""

    def __init__(self, ledger: Ledger, on_commit: Callable[[Doorbells], None], *, metrics: Metrics) -> None:
        """Take what is needed.

        Args:
            ledger: where to write.
            on_commit: told which deliveries to announce, after each commit.
            metrics: where commits are counted.

        """
        self._ledger = ledger
        self._kept = ledger.keep()
        self._on_commit = on_commit
        self._metrics = metrics
        self._room = Room()

    def write(self, batch: Sequence[Item]) -> list[Outcome]:
        """Make a batch durable. Say what became of each, in order; never raises."""
        events = [event for event in batch if event is not None]
        try:
            outcomes = self._commit(events, probe=len(events) < len(batch))
        except LedgerUnavailable as error:
            log.warning("commit failed", error=str(error), events=len(events))
            return [error] * len(batch)
        remaining = iter(outcomes)
        return [None if event is None else next(remaining) for event in batch]

    def close(self) -> None:
        """Close the connection that batches are written over; the next one would open another."""
        self._kept.close()

    def _commit(self, events: Sequence[NewEvent], *, probe: bool) -> Sequence[Receipt | LedgerUnavailable]:
        began = time.monotonic()
        try:
            appended = self._transact(events, probe=probe)
        except LedgerUnavailable:
            raise
        except Exception as error:
            # Not the database but one of the rows: find it, so that its neighbours get in. Nothing may end this
            # process, or all of them would be sent away.
            if not events:  # a probe alone: there is no row to blame
                raise LedgerUnavailable(type(error).__name__) from error
            if len(events) == 1 and not probe:
                log.exception("event cannot be written")
                return [LedgerUnavailable(type(error).__name__)]
            outcomes = [outcome for event in events for outcome in self._commit([event], probe=False)]
            if probe:
                self._commit([], probe=True)
            return outcomes
        if events:
            self._metrics.committed(events=len(events), seconds=time.monotonic() - began)
        if appended.doorbells:
            self._on_commit(appended.doorbells)
        return appended.receipts

    def _transact(self, events: Sequence[NewEvent], *, probe: bool) -> Appended:
        if not probe and all(event.body_id is None for event in events):
            with self._ledger.write_over(self._kept) as db:
                return append(db, events, self._room)
        self._kept.give_back()
        with self._ledger.write() as db:
            appended = append(db, events, self._room) if events else Appended([], {})
            if probe:
                touch(db)
        return appended


def touch(db: Connection) -> None:
    """Write something of no importance."""
    statement = insert_or_ignore(db, probes).values(id=1, at=0)
    db.execute(statement)
    db.execute(probes.update().values(at=time.time()))
