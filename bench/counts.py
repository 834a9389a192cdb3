"""What is in a ledger, counted by SQL from outside: nothing that was measured says how well it did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from bench.errors import CheckFailed
from bench.load import Load
from bench.requests import Batch
from config.database import database_url
from tests.system.service import Service


class Counts:
    """Counts in one ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def value(self, sql: str, **parameters: object) -> Any:  # noqa: ANN401  # whatever is in the column
        """Give the one value that a statement asks for."""
        with self._engine.begin() as db:
            return db.execute(text(sql), parameters).scalar_one()

    def events(self) -> int:
        """Count the events."""
        return int(self.value("SELECT count(*) FROM events"))

    def attempts(self) -> int:
        """Count the attempts."""
        return int(self.value("SELECT count(*) FROM attempts"))

    def deliveries(self, state: str) -> int:
        """Count the deliveries in one state."""
        return int(self.value("SELECT count(*) FROM deliveries WHERE state = :state", state=state))

    def last(self, table: str) -> int:
        """Give a table's last id, which costs nothing to ask for: nothing is ever deleted here."""
        return int(self.value(f"SELECT coalesce(max(id), 0) FROM {table}"))

    def backlog(self) -> int:
        """Count what waits, without reading it all: each delivery gets one attempt here."""
        return self.last("deliveries") - self.last("attempts")

    def unrung(self) -> int:
        """Count the deliveries that were never announced."""
        return int(self.value("SELECT count(*) FROM deliveries WHERE announcements = 0 AND attempts = 0"))

    def settle(self) -> None:
        """Call done what still waits, so that the next round begins with empty queues as the first one did."""
        with self._engine.begin() as db:
            _settle(db)

    def reopen(self, count: int) -> list[int]:
        """Let the newest deliveries wait again, announced. Give their ids."""
        newest = "SELECT id FROM deliveries ORDER BY id DESC LIMIT :count"
        with self._engine.begin() as db:
            db.execute(text(f"UPDATE deliveries SET state = 'queued' WHERE id IN ({newest})"), {"count": count})
            return sorted(db.execute(text(newest), {"count": count}).scalars())

    def check_stored(self, load: Load, batch: Batch, *, after: int) -> None:
        """Make sure, id by id, that what was answered 2xx is there, and nothing that was forged or never sent.

        What was under way when the sender ended may be there or not: it has heard nothing, and sends it again.

        Args:
            load: what came of the load.
            batch: what it sent, beginning with the first.
            after: the last event's id before it.

        Raises:
            CheckFailed: it is not so.

        """
        stored, sent = self._external_ids(batch.kind.source, after), batch.ids(load.sent)
        if forged := len(stored & batch.forged_ids()):
            raise CheckFailed(f"{forged} forged events are in the ledger")
        if strangers := len((stored & batch.ids(batch.count)) - sent):
            raise CheckFailed(f"{strangers} events are in the ledger that were not sent")
        missing = sent - stored
        if lost := len(missing & batch.ids(load.surely_answered)):
            raise CheckFailed(f"{lost} of {load.accepted} events were accepted and are not in the ledger")
        if len(missing) > load.under_way:
            raise CheckFailed(f"{len(missing)} events are not in the ledger, and {load.under_way} were not answered")

    def check_handled(self, batch: Batch, *, after: int) -> None:
        """Make sure that all events of a source were handled, at the first attempt. Raises as `check_stored` does."""
        unhandled = self.value(
            "SELECT count(*) FROM events LEFT JOIN deliveries ON deliveries.event_id = events.id"
            " LEFT JOIN attempts ON attempts.delivery_id = deliveries.id AND attempts.outcome = 'done'"
            " AND deliveries.state = 'done' AND deliveries.attempts = 1"
            " WHERE events.id > :after AND events.source = :source AND attempts.id IS NULL",
            after=after,
            source=batch.kind.source,
        )
        if unhandled:
            raise CheckFailed(f"{unhandled} events were not handled at the first attempt")

    def _external_ids(self, source: str, after: int) -> set[str]:
        # A service that watches over itself stores events of its own as well, such as the alarm about what was forged.
        its = "SELECT external_id FROM events WHERE id > :after AND source = :source"
        with self._engine.begin() as db:
            return set(db.execute(text(its), {"after": after, "source": source}).scalars())


def _settle(db: Connection) -> None:
    db.execute(
        text(
            "UPDATE deliveries SET state = 'done', token = NULL, overdue_at = NULL, announcements = 1"
            " WHERE state IN ('queued', 'pending', 'running')",
        ),
    )


@contextmanager
def counts(service: Service) -> Iterator[Counts]:
    """Open a service's ledger."""
    engine = create_engine(database_url(service.settings))
    try:
        yield Counts(engine)
    finally:
        engine.dispose()
