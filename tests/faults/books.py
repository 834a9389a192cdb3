"""Looks into the ledger from outside, SQLite's file or PostgreSQL, with nothing of ours in between."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row

Row = Mapping[str, Any]

EVENTS = "SELECT id, source, external_id, dedupe_key, type, flaw, received_at FROM events"
DELIVERIES = "SELECT id, event_id, handler, state, attempts, crashes, announcements, last_error FROM deliveries"
EFFECTS = """
    SELECT id, event_id, key, state, attempts, lost_answers, last_error, folded_into, parent FROM effects
"""
BOOK = {
    "payments": "SELECT id, status, amount, amount_received, amount_refunded, latest_charge FROM payments",
    "refunds": "SELECT id, status, amount, payment_intent FROM refunds",
    "disputes": "SELECT id, status, amount FROM disputes",
}

UNFINISHED = """
    SELECT handler, count(*) AS n FROM deliveries WHERE state NOT IN ('done', 'dead', 'dismissed') GROUP BY handler
    UNION ALL SELECT '', count(*) FROM effects WHERE state NOT IN ('sent', 'kept', 'dead')
"""
# Effects have no handler. One question, since it is asked again and again.

LOCK_TABLE = "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All that the ledger says at one moment, and what its database says of itself."""

    events: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    effects: list[Row] = field(default_factory=list)
    book: list[Row] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)


class Database(Protocol):
    """The database of a house."""

    def rows(self, sql: str) -> list[Row]:
        """Ask."""

    def locked(self) -> Any:
        """Hold a lock on the ledger's tables, as another program might, for as long as the block runs."""

    def flaws(self) -> list[str]:
        """Say what is wrong in its files."""


class Sqlite:
    """The file, opened anew for each question."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, sql: str) -> list[Row]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")

    def flaws(self) -> list[str]:
        found = [next(iter(row.values())) for row in self.rows("PRAGMA integrity_check")]
        strays = [f"foreign key: {dict(row)}" for row in self.rows("PRAGMA foreign_key_check")]
        return [each for each in found if each != "ok"] + strays


class Postgres:
    """A connection for each question."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, sql: str) -> list[Row]:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=5, row_factory=dict_row) as db:
            return list(db.execute(sql.encode()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self._url, connect_timeout=5) as db:
            db.execute(LOCK_TABLE)
            yield
            db.rollback()

    def flaws(self) -> list[str]:
        """Compare each table with its indexes (this server has no amcheck to do it): as many rows either way."""
        return [flaw for table in ("events", "deliveries", "effects", *BOOK) for flaw in self._disagreement(table)]

    def _disagreement(self, table: str) -> list[str]:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as db:
            ids = []
            for scan in ("seqscan", "indexscan"):
                for each in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan"):
                    on = each.startswith(scan.removesuffix("scan"))
                    db.execute(f"SET enable_{each} = {'on' if on else 'off'}".encode())
                ids.append(db.execute(f"SELECT id FROM {table} ORDER BY id".encode()).fetchall())
        return [] if ids[0] == ids[1] else [f"{table}: {len(ids[0])} rows, {len(ids[1])} in its index"]


def read_books(database: Database) -> Books:
    """Read all of it. Call it when nothing moves any more."""
    book: list[Row] = [{"table": table, **row} for table, sql in BOOK.items() for row in database.rows(sql)]
    return Books(
        events=database.rows(EVENTS),
        deliveries=database.rows(DELIVERIES),
        effects=database.rows(EFFECTS),
        book=book,
        flaws=database.flaws(),
    )


def count_unfinished(database: Database, left: Collection[str] = ()) -> int:
    """Count the deliveries and effects that are still to be done, but for the deliveries to some handlers."""
    return sum(row["n"] for row in database.rows(UNFINISHED) if row["handler"] not in left)
