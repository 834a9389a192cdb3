"""The database behind the ledger: read and write transactions, and what SQLite and PostgreSQL say differently."""

import fcntl
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar, TypeVarTuple, overload

from sqlalchemy import Column, Connection, CursorResult, Dialect, Engine, Executable, Select, Table, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from ledger.errors import LedgerUnavailable, WorkUndone
from ledger.gathered import Gathered, Kind, Known
from ledger.kept import Kept
from ledger.prepared import Found, Prepared, say, unless_known

INSIST_PAUSE_S = 0.5

READING: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "sqlite": {},
}
# In PostgreSQL each statement sees a state of its own, unless it is asked to show one state to all of a transaction.

ABOUT_THE_LEDGER = ("08", "25006", "25P03", "40", "53", "55", "57", "58")
# SQLSTATEs, or how they begin: connections; read only; too long idle; deadlocks and conflicts; disk, memory and
# connections used up; locks; shutting down, starting or cancelled; input and output. All others are about a statement.

TOO_SLOW = "57014"
# A statement that took too long. It may be the ledger's fault; of a handler's statement it is said to be the handler's,
# which would be run for ever otherwise.

CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"

T = TypeVar("T")
Columns = TypeVarTuple("Columns")


class Ledger:
    """One process's door to the ledger. Threads may share it; a forked child must make its own."""

    def __init__(self, engine: Engine, *, turn_patience_s: float = math.inf) -> None:
        """Take the engine, and how long a write may wait for its turn where only one can write (SQLite), in seconds."""
        self._engine = engine
        self._reading = engine.execution_options(**READING[engine.dialect.name])
        self._writing = engine.execution_options(write=True)
        self._turn = _Turn.beside(engine, turn_patience_s)
        self._log = Path(f"{engine.url.database}-wal") if engine.dialect.name == "sqlite" else None

    @property
    def in_turns(self) -> bool:
        """Whether only one can write at a time, as in SQLite."""
        return self._turn.is_needed

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the ledger.

        Raises:
            LedgerUnavailable: the database does not answer.

        """
        with _unavailable_instead(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end of the block, or rolled back when the block raises.

        Never call out to the world inside: with SQLite every other writer is waiting.

        Raises:
            LedgerUnavailable: the database is locked, full or away, or others write for too long. Nothing of the block
                was kept.

        """
        with (
            _unavailable_instead(),
            self._turn.taken(),
            self._writing.connect() as connection,
            connection.begin(),
            _given_up_when_interrupted(connection),
        ):
            yield connection

    def keep(self) -> Kept:
        """Give one thread a connection of its own, for `write_over`. It is opened when it is needed."""
        return Kept(self._writing)

    @contextmanager
    def write_over(self, kept: Kept) -> Iterator[Connection]:
        """Open a transaction over a connection of `keep`'s, for one statement that writes; see there what may be said.

        Raises:
            LedgerUnavailable: as `write`. If the connection was lost, nobody knows whether the statement was kept.

        """
        with _unavailable_instead(), self._turn.taken(), kept.transaction() as connection:
            yield connection

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

    def written_at(self) -> int:
        """Say when anybody last wrote SQLite's log, in nanoseconds of the file system's clock; 0: there is none."""
        try:
            return self._log.stat().st_mtime_ns if self._log else 0
        except FileNotFoundError:
            return 0

    def checkpoint(self) -> None:
        """Copy what SQLite's log holds into the ledger's file, so that the log begins anew.

        Most of it is copied while others write. What came meanwhile follows in turn: a log of which something is still
        to be copied only grows.

        Raises:
            LedgerUnavailable: the database does not answer.

        """
        with _unavailable_instead(), self._engine.connect() as connection:
            say(connection, CHECKPOINT, ()).fetchall()
            with self._turn.taken():
                say(connection, CHECKPOINT, ()).fetchall()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._turn.close()


class Transaction:
    """A transaction as a handler gets it: it can be written in, and not ended."""

    __slots__ = ("_connection", "_gathered")

    def __init__(self, connection: Connection, gathered: Gathered | None = None) -> None:
        """Take the connection. What is left for later is left with `gathered`, or nothing is."""
        self._connection = connection
        self._gathered = gathered

    @property
    def dialect(self) -> Dialect:
        """Which SQL the database speaks."""
        return self._connection.dialect

    @overload
    def execute(self, statement: Prepared, parameters: Mapping[str, Any]) -> Found: ...

    @overload
    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]: ...  # noqa: ANN401

    def execute(self, statement: Executable | Prepared, parameters: Any = None) -> CursorResult[Any] | Found:
        """Execute a statement of SQLAlchemy's, or one that was prepared. It sees all that was left for later."""
        db = self._connection
        if isinstance(statement, Prepared):
            if self._gathered is not None:
                self._gathered.write(db, about=statement.tables(db.dialect))
            return statement.execute(db, parameters)
        if self._gathered is not None:
            self._gathered.write(db)
        return db.execute(statement, parameters)

    def know(self, table: Table, rows: Known) -> None:
        """Take rows that were read ahead, and locked; where a transaction keeps none, nothing happens."""
        if self._gathered is not None:
            self._gathered.know(table, rows)

    def known(self, table: Table) -> Known:
        """Give what is known of a table's rows, until a statement asks for that table."""
        return {} if self._gathered is None else self._gathered.known(table)

    def leave(self, kind: Kind[T], item: T) -> None:
        """Leave something to be written together with what is like it, before anybody could miss it."""
        if self._gathered is None:
            kind.write(self._connection, [item])
        else:
            self._gathered.add(kind, item)


def run(db: Connection | Transaction, statement: Prepared, values: Mapping[str, Any]) -> Found:
    """Run a prepared statement in a transaction, in whoever's hands it is."""
    return db.execute(statement, values) if isinstance(db, Transaction) else statement.execute(db, values)


def check_alive(db: Connection, error: Exception) -> None:
    """Make sure that after an error the transaction can go on, and that the error says something about the work.

    SQLite ends the whole transaction by itself when the disk is full or fails. What came next would be committed
    statement by statement: "done" without the work. In PostgreSQL two workers that write the same rows can get into
    each other's way, which is nobody's failure.

    Raises:
        LedgerUnavailable: it is over, or should be; nothing of it was kept.

    """
    if db.invalidated:
        raise LedgerUnavailable("the connection was lost")
    if isinstance(error, DBAPIError) and _sqlstate(error).startswith(ABOUT_THE_LEDGER) and not _was_too_slow(error):
        raise LedgerUnavailable(str(error.orig))
    driver_connection = db.connection.driver_connection
    if isinstance(driver_connection, sqlite3.Connection) and not driver_connection.in_transaction:
        raise LedgerUnavailable("SQLite ended the transaction after an error")


def check_whole(db: Connection) -> None:
    """Make sure that what a handler wrote is there; call it at its end.

    PostgreSQL takes nothing more after a statement that failed. SQLite may have ended the transaction by itself, see
    `check_alive`: what comes next would be committed statement by statement.

    Raises:
        WorkUndone: a statement failed, and its error was swallowed.
        LedgerUnavailable: so was an error after which the transaction is over.

    """
    if db.invalidated:
        raise LedgerUnavailable("the connection was lost")
    driver_connection: Any = db.connection.driver_connection
    if isinstance(driver_connection, sqlite3.Connection) and not driver_connection.in_transaction:
        raise LedgerUnavailable("SQLite ended the transaction after an error")
    if db.dialect.name == "postgresql" and driver_connection.info.transaction_status.name == "INERROR":
        raise WorkUndone("a statement failed and the handler went on: PostgreSQL has undone what it wrote")


class _Turn:
    """Whose turn it is to write to SQLite: one thread of one process at a time.

    SQLite has one writer anyway. Left to its busy handler, which polls, worker processes starve the one writer
    that providers are waiting for; a queue at a blocking lock is fair (docs/decisions/0003).
    """

    def __init__(self, path: Path | None, patience_s: float) -> None:
        self._thread = threading.Lock()
        self._file = path.open("ab") if path else None
        self._patience_s = patience_s

    @classmethod
    def beside(cls, engine: Engine, patience_s: float) -> "_Turn":
        database = engine.url.database if engine.dialect.name == "sqlite" else None
        return cls(Path(f"{database}.lock") if database else None, patience_s)

    @property
    def is_needed(self) -> bool:
        return self._file is not None

    @contextmanager
    def taken(self) -> Iterator[None]:
        if self._file is None:  # PostgreSQL locks rows by itself
            yield
            return
        if self._patience_s < math.inf:
            with self._taken_in_time(self._file):
                yield
            return
        with self._thread:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def _taken_in_time(self, file: IO[bytes]) -> Iterator[None]:
        until = time.monotonic() + self._patience_s
        if not self._thread.acquire(timeout=self._patience_s):
            raise self._too_late()
        queued = Future[None]()
        # Who waits at a lock waits without end, and who polls for it is never served while others queue: so a thread
        # queues, and whoever gives up leaves the turn to it, to be given back when it comes.
        try:
            threading.Thread(target=self._queue, args=(file, queued), name="turn", daemon=True).start()
        except RuntimeError as error:  # the system has no thread left
            self._thread.release()
            raise LedgerUnavailable(str(error)) from error
        try:
            queued.result(until - time.monotonic())
        except TimeoutError:
            if queued.cancel():
                raise self._too_late() from None
            queued.result()  # it came, or failed, in this very moment
        try:
            yield
        finally:
            self._give_back(file)

    def _queue(self, file: IO[bytes], queued: "Future[None]") -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except (OSError, ValueError) as error:  # no lock is left, or the file was closed
            self._thread.release()
            if queued.set_running_or_notify_cancel():
                queued.set_exception(LedgerUnavailable(str(error)))
            return
        if queued.set_running_or_notify_cancel():
            queued.set_result(None)
        else:
            with suppress(ValueError):  # the file was closed meanwhile, and the lock with it
                self._give_back(file)

    def _give_back(self, file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
        self._thread.release()

    def _too_late(self) -> LedgerUnavailable:
        return LedgerUnavailable(f"others have been writing for {self._patience_s:g} s")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def savepoint(db: Connection) -> Iterator[None]:
    """Undo what the block wrote, and only that, when it raises an Exception.

    What is not an Exception is an interrupt, after which `Ledger.write` gives up the connection.

    Raises:
        LedgerUnavailable: the database does not take it; nothing of the transaction was kept.

    """
    _say(db, "SAVEPOINT work")
    try:
        yield
    except Exception:
        db.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
        db.exec_driver_sql("RELEASE SAVEPOINT work")
        raise
    _say(db, "RELEASE SAVEPOINT work")


def _say(db: Connection, words: str) -> None:
    """Say something to the driver itself. SQLAlchemy needs ten times as long for it, twice for each delivery."""
    driver_connection: Any = db.connection.driver_connection
    try:
        driver_connection.execute(words)
    except db.dialect.loaded_dbapi.Error as error:
        raise LedgerUnavailable(str(error)) from error


def insert_or_ignore(db: Connection | Transaction, table: Table, *returning: Column[Any]) -> Any:  # noqa: ANN401  # two unrelated Insert classes
    """Start an INSERT that leaves existing rows as they are, whatever unique key they share with a new one.

    Each is made once: to put one together takes longer than to run it.
    """
    return unless_known(db.dialect.name, table, returning)


def free(rows: Select[*Columns]) -> Select[*Columns]:
    """Take those of these rows that nobody else has in hand, and pass over the others: so several share the work.

    Nobody waits, so nobody can wait for each other in a circle. With SQLite nobody else is there.
    """
    return _taken(rows.with_for_update(skip_locked=True, key_share=True))


def in_turn(rows: Select[*Columns]) -> Select[*Columns]:
    """Take these rows in the order of their ids, and wait for those that somebody else has in hand.

    All who wait do so in one order, so nobody can wait for each other in a circle.
    """
    return _taken(rows.order_by(rows.selected_columns[0]).with_for_update(key_share=True))


def _taken(rows: Select[*Columns]) -> Select[*Columns]:
    # A common table expression, because PostgreSQL may run a subquery that locks rows more than once.
    taken = rows.cte("taken")
    return select(*taken.c)


@contextmanager
def _given_up_when_interrupted(connection: Connection) -> Iterator[None]:
    try:
        yield
    except Exception:
        raise
    except BaseException:
        # An interrupt strikes anywhere, in the driver too: nobody knows what state it has left behind.
        connection.invalidate()
        raise


@contextmanager
def _unavailable_instead() -> Iterator[None]:
    try:
        yield
    except NoConnectionLeft as error:
        raise LedgerUnavailable("all connections are in use") from error
    except DBAPIError as error:
        if _is_about_the_ledger(error):
            raise LedgerUnavailable(str(error.orig)) from error
        raise


def _is_about_the_ledger(error: DBAPIError) -> bool:
    """Say whether an error would have met any statement at this moment, and not only this one with its values."""
    if error.connection_invalidated:
        return True
    if state := _sqlstate(error):
        return state.startswith(ABOUT_THE_LEDGER)
    return isinstance(error, OperationalError | InterfaceError)


def _was_too_slow(error: DBAPIError) -> bool:
    return _sqlstate(error) == TOO_SLOW


def _sqlstate(error: DBAPIError) -> str:
    """Give PostgreSQL's code of an error; SQLite has none, nor has an error of the driver."""
    return getattr(error.orig, "sqlstate", None) or ""
