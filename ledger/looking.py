"""A door to the ledger for who only looks, and not for long: a command. It does without SQLAlchemy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.sqlite import connect
from ledger.errors import LedgerUnavailable
from ledger.question import Answer, Asked


class Looking:
    """One thread's door to a ledger in a SQLite file. See `ledger.store.Ledger`, whose `read` this is."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is opened when it is asked first."""
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def read(self) -> Iterator[Asked]:
        """Open a transaction that sees one state of the ledger.

        Raises:
            LedgerUnavailable: the database does not answer, or knows no such question.

        """
        try:
            self._connection = self._connection or connect(self._path)
            self._connection.execute("BEGIN DEFERRED")
            try:
                yield _Transaction(self._connection)
            finally:
                self._connection.rollback()
        except sqlite3.Error as error:
            raise LedgerUnavailable(str(error)) from error

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True, slots=True)
class _Sql:
    name: str


@dataclass(frozen=True, slots=True)
class _Transaction:
    """What `ledger.question` asks, spelled as SQLAlchemy spells it."""

    connection: sqlite3.Connection

    @property
    def dialect(self) -> _Sql:
        return _Sql("sqlite")

    def exec_driver_sql(self, statement: str, parameters: Any = None, /) -> Answer:  # noqa: ANN401  # the driver's
        return _Answer(self.connection.execute(statement, parameters or ()))


@dataclass(frozen=True, slots=True)
class _Answer:
    cursor: sqlite3.Cursor

    def keys(self) -> Iterator[str]:
        return (column[0] for column in self.cursor.description)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.cursor)
