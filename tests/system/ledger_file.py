"""Look into the ledger's file from outside, with nothing of ours in between."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]

UNFINISHED_DELIVERIES = "state NOT IN ('done', 'dead', 'dismissed')"
UNFINISHED_EFFECTS = "state NOT IN ('sent', 'kept', 'dead')"


class LedgerFile:
    """The SQLite file, opened anew for each question."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, parameters)]

    def column(self, sql: str, *parameters: object) -> list[Any]:
        return [next(iter(row.values())) for row in self.rows(sql, *parameters)]

    def value(self, sql: str, *parameters: object) -> Any:  # whatever is in the column
        found = self.column(sql, *parameters)
        assert len(found) == 1, found
        return found[0]

    def execute(self, sql: str) -> None:
        """Change something that is not the product's, such as a table for a test's own handler."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute(sql)

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
