"""The shortest way to the ledger's database, for who looks and does no more: its driver, without SQLAlchemy."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from config import sqlite
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Door:
    """How to get to a database.

    Attributes:
        sql: which SQL it understands: `sqlite`, `postgresql`.
        connect: makes a connection of the driver's, on which transactions begin where they are begun.
        begin: begins a transaction that sees one state of the database.
        error: what the driver raises.

    """

    sql: str
    connect: Callable[[], Any]
    begin: str
    error: type[Exception]


def find_door(settings: Settings) -> Door | None:
    """Find the way to the ledger's database; None: only SQLAlchemy can say where it is, or that it is nowhere."""
    path = sqlite.file_of(settings)
    if path is not None:
        return Door("sqlite", partial(sqlite.connect, path), "BEGIN DEFERRED", sqlite3.Error)
    return _door_to_postgresql(settings) if (settings.database_url or "").startswith("postgres") else None


def _door_to_postgresql(settings: Settings) -> Door | None:
    import psycopg  # noqa: PLC0415  # what SQLite does without

    from config import postgresql  # noqa: PLC0415  # ditto

    address = postgresql.address_in(settings.database_url or "")
    if address is None:
        return None
    patience_s = settings.database_statement_timeout_s
    known = address | postgresql.arguments(settings, fsync=True, patience_s=patience_s)
    connect = partial(postgresql.connect, patience_s=patience_s, autocommit=True, **known)
    return Door("postgresql", connect, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", psycopg.Error)
