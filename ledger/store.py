"""The database behind the ledger: read and write transactions, and what SQLite and PostgreSQL say differently."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from ledger.errors import LedgerUnavailable

INSIST_PAUSE_S = 0.5

T = TypeVar("T")


class Ledger:
    """One process's door to the ledger. Threads may share it; a forked child must make its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = _Turn.beside(engine)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the ledger.

        Raises:
            LedgerUnavailable: the database does not answer.

        """
        with _unavailable_instead(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end of the block, or rolled back when the block raises.

        Never call out to the world inside: with SQLite every other writer is waiting.

        Raises:
            LedgerUnavailable: the database is locked, full or away. Nothing of the block was kept.

        """
        with _unavailable_instead(), self._turn.taken(), self._engine.connect() as connection:
            writing = connection.execution_options(write=True)
            with writing.begin():
                yield writing

    def insist(self, work: Callable[[Connection], T], *, for_s: float) -> T:
        """Write what is known and must not be forgotten: try again for `for_s` seconds while the ledger is away.

        Raises:
            LedgerUnavailable: it was away all the time.

        """
        until = time.monotonic() + for_s
        while True:
            try:
                with self.write() as db:
                    return work(db)
            except LedgerUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(INSIST_PAUSE_S)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._turn.close()


class Transaction:
    """A transaction as a handler gets it: it can be written in, and not ended."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        """Which SQL the database speaks."""
        return self._connection.dialect

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:  # noqa: ANN401
        """Execute a statement of SQLAlchemy's."""
        return self._connection.execute(statement, parameters)


def check_alive(db: Connection) -> None:
    """Make sure that a statement that failed left the transaction open; call it before going on after an error.

    SQLite ends the whole transaction by itself when the disk is full or fails. What came next would be committed
    statement by statement: "done" without the work.

    Raises:
        LedgerUnavailable: the transaction is over; nothing of it was kept.

    """
    if db.invalidated:
        raise LedgerUnavailable("the connection was lost")
    driver_connection = db.connection.driver_connection
    if isinstance(driver_connection, sqlite3.Connection) and not driver_connection.in_transaction:
        raise LedgerUnavailable("SQLite ended the transaction after an error")


class _Turn:
    """Whose turn it is to write to SQLite: one thread of one process at a time.

    SQLite has one writer anyway. Left to its busy handler, which polls, worker processes starve the one writer
    that providers are waiting for; a queue at a blocking lock is fair (docs/decisions/0003).
    """

    def __init__(self, path: Path | None) -> None:
        self._thread = threading.Lock()
        self._file = path.open("ab") if path else None

    @classmethod
    def beside(cls, engine: Engine) -> "_Turn":
        database = engine.url.database if engine.dialect.name == "sqlite" else None
        return cls(Path(f"{database}.lock") if database else None)

    @contextmanager
    def taken(self) -> Iterator[None]:
        if self._file is None:  # PostgreSQL locks rows by itself
            yield
            return
        with self._thread:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def insert_or_ignore(db: Connection | Transaction, table: Table) -> Any:  # noqa: ANN401  # two unrelated Insert classes
    """Start an INSERT that leaves existing rows as they are, whatever unique key they share with a new one."""
    dialect = sqlite if db.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


@contextmanager
def _unavailable_instead() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise LedgerUnavailable(str(error.orig)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise LedgerUnavailable(str(error.orig)) from error
        raise
