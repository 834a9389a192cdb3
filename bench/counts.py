"""What is in a ledger, counted by SQL from outside: nothing that was measured says how well it did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from bench.errors import CheckFailed
from bench.load import Load
from bench.plan import CONNECTIONS
from bench.requests import FORGED
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

    def forged(self) -> int:
        """Count the forged ones that got in."""
        return int(self.value(f"SELECT count(*) FROM events WHERE external_id LIKE 'evt_3{FORGED}%'"))

    def attempts(self) -> int:
        """Count the attempts."""
        return int(self.value("SELECT count(*) FROM attempts"))

    def deliveries(self, state: str) -> int:
        """Count the deliveries in one state."""
        return int(self.value("SELECT count(*) FROM deliveries WHERE state = :state", state=state))

    def last(self, table: str) -> int:
        """Give a table's last id, which costs nothing to ask for: nothing is ever deleted here."""
        return int(self.value(f"SELECT coalesce(max(id), 0) FROM {table}"))

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

    def check_stored(self, load: Load, *, before: int) -> None:
        """Make sure that what was answered 2xx is there, once, and nothing that was forged.

        Raises:
            CheckFailed: it is not so.

        """
        stored = self.events() - before
        if not load.accepted <= stored <= load.accepted + CONNECTIONS:  # so many were under way at the end
            raise CheckFailed(f"{load.accepted} events were accepted and {stored} are in the ledger")
        if forged := self.forged():
            raise CheckFailed(f"{forged} forged events are in the ledger")


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
