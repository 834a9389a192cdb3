"""Look into the ledger from outside, with nothing of ours in between."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool, create_engine

Row = dict[str, Any]

UNFINISHED_DELIVERIES = "state NOT IN ('done', 'dead', 'dismissed')"
UNFINISHED_EFFECTS = "state NOT IN ('sent', 'kept', 'dead')"


class LedgerFile:
    """The SQLite file, or the PostgreSQL database, opened anew for each question. Parameters are `?` for both."""

    def __init__(self, place: Path | URL) -> None:
        self.url = url = place if isinstance(place, URL) else URL.create("sqlite", database=str(place))
        self.path = Path(url.database or "")
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._mark = "?" if url.get_backend_name() == "sqlite" else "%s"

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        with self._engine.connect() as db:
            found = db.exec_driver_sql(sql.replace("?", self._mark), parameters or None)
            return [dict(row) for row in found.mappings()]

    def column(self, sql: str, *parameters: object) -> list[Any]:
        return [next(iter(row.values())) for row in self.rows(sql, *parameters)]

    def value(self, sql: str, *parameters: object) -> Any:  # whatever is in the column
        found = self.column(sql, *parameters)
        assert len(found) == 1, found
        return found[0]

    def execute(self, sql: str) -> None:
        """Change something that is not the product's, such as a table for a test's own handler."""
        with self._engine.connect() as db:
            db.exec_driver_sql(sql)

    def event(self, external_id: str) -> Row:
        """Give one event, and fail when it is not there exactly once."""
        found = self.rows("SELECT * FROM events WHERE external_id = ?", external_id)
        assert len(found) == 1, f"{external_id} is there {len(found)} times"
        return found[0]

    def external_ids(self) -> set[str]:
        return set(self.column("SELECT external_id FROM events"))

    def deliveries(self, external_id: str) -> list[Row]:
        return self.rows("SELECT * FROM deliveries WHERE event_id = ? ORDER BY id", self.event(external_id)["id"])

    def effects(self, external_id: str) -> list[Row]:
        return self.rows("SELECT * FROM effects WHERE event_id = ? ORDER BY id", self.event(external_id)["id"])

    def attempts(self, delivery_id: int) -> list[Row]:
        return self.rows("SELECT * FROM attempts WHERE delivery_id = ? ORDER BY id", delivery_id)

    def unfinished(self) -> int:
        """Count the deliveries and effects that are still to be done."""
        waiting = self.value(f"SELECT count(*) FROM deliveries WHERE {UNFINISHED_DELIVERIES}")
        unsent = self.value(f"SELECT count(*) FROM effects WHERE {UNFINISHED_EFFECTS}")
        return int(waiting) + int(unsent)

    def rung_twice(self) -> int:
        """Count the deliveries that were begun so late that their first doorbell must have been lost."""
        late = "deliveries.started_at - events.received_at > 9"  # the sweeper rings again after 10 s
        return int(self.value(f"SELECT count(*) FROM deliveries JOIN events ON events.id = event_id WHERE {late}"))

    def is_done(self, external_id: str) -> bool:
        """Say whether an event is there, and all that is owed for it has been done."""
        if external_id not in self.external_ids():
            return False
        deliveries, effects = self.deliveries(external_id), self.effects(external_id)
        return (
            bool(deliveries)
            and all(delivery["state"] == "done" for delivery in deliveries)
            and all(effect["state"] in ("sent", "kept") for effect in effects)
        )

    def is_sound(self) -> bool:
        """Ask SQLite to check the whole file."""
        return bool(self.value("PRAGMA integrity_check") == "ok")
