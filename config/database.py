"""Connections to the ledger's database, set up so that a commit is on disk when it returns."""

import math
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError

from config.errors import InvalidSettings
from config.settings import Settings
from config.sqlite import BUSY_TIMEOUT_S, set_up

POOL_TIMEOUT_S = 2.0

NOT_HERE_ANY_MORE = ("25006", "57P01", "57P02", "57P03")
# SQLSTATEs of PostgreSQL: read only, shutting down, crashed, starting. A connection that says so leads to a server that
# has stopped being the one to write to. A new one may lead to the one that is.


def database_url(settings: Settings) -> URL:
    """Say which database holds the ledger: DATABASE_URL, or a SQLite file in the data directory.

    Raises:
        InvalidSettings: DATABASE_URL is not the URL of a database that Hookline knows.

    """
    if settings.database_url is None:
        return URL.create("sqlite", database=str(settings.ledger_path))
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise InvalidSettings(["DATABASE_URL is not a URL: it should look like postgresql://user@host/name"]) from None
    backend = {"postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if backend not in ("sqlite", "postgresql"):
        raise InvalidSettings([f"DATABASE_URL names {backend}: the ledger is kept in postgresql:// or sqlite:///"])
    if backend == "sqlite" and not url.database:
        raise InvalidSettings(["DATABASE_URL names no file: sqlite:////path/to/ledger.db"])
    _refuse_unknown(url.query.keys() - _options_of(backend), backend)
    return url.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite")


def _options_of(backend: str) -> frozenset[str]:
    if backend == "sqlite":
        return frozenset()
    from config.postgresql import all_options  # noqa: PLC0415  # the driver, which SQLite does without

    return all_options()


def _refuse_unknown(options: Iterable[str], backend: str) -> None:
    """Refuse what only the driver knows: it is meant for programs that call it, and ends in a traceback here."""
    if names := ", ".join(sorted(options)):
        known = "PostgreSQL's own (sslmode, for example)" if backend == "postgresql" else "nothing"
        raise InvalidSettings([f"DATABASE_URL cannot be used: it asks for {names}; behind its ? may stand {known}"])


def make_engine(settings: Settings, *, fsync: bool = True, patience_s: float = math.inf) -> Engine:
    """Make an engine for the ledger.

    Args:
        settings: DATABASE_URL, and how long to wait for what.
        fsync: wait for the disk at each commit. Without it a power cut can undo the last commits (never a crash
            of the process): right for work that would be redone, never for what a provider was told is safe.
        patience_s: how long a statement may take, where that is less than DATABASE_STATEMENT_TIMEOUT_S. SQLite has
            no such limit: it waits for nobody but the next writer.

    """
    url = database_url(settings)
    if url.get_backend_name() == "sqlite":
        return _make_sqlite_engine(url, "FULL" if fsync else "NORMAL")
    return _make_postgresql_engine(
        url,
        settings,
        fsync=fsync,
        patience_s=min(patience_s, settings.database_statement_timeout_s),
    )


def _make_sqlite_engine(url: URL, synchronous: str) -> Engine:
    # hide_parameters: errors are logged, and the parameters are bodies.
    connect_args = {"timeout": BUSY_TIMEOUT_S, "isolation_level": None}
    # The connection that was used last first: its pages are still in memory.
    engine = create_engine(url, hide_parameters=True, connect_args=connect_args, pool_use_lifo=True)
    event.listen(engine, "connect", _sqlite_pragmas(synchronous))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _sqlite_pragmas(synchronous: str) -> Callable[[Any, Any], None]:
    return lambda connection, _record: set_up(connection, synchronous=synchronous)


def _begin_sqlite(connection: Any) -> None:  # noqa: ANN401  # SQLAlchemy's own type hides behind the event API
    # The driver is in autocommit mode: transactions begin here and nowhere else. A write takes its lock at once,
    # because a lock that is upgraded half-way can fail at any statement.
    kind = "IMMEDIATE" if connection.get_execution_options().get("write") else "DEFERRED"
    words = f"BEGIN {kind}"
    try:
        # To the driver itself: SQLAlchemy's way takes longer than all the rest of an empty transaction.
        connection.connection.driver_connection.execute(words)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            words, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _make_postgresql_engine(url: URL, settings: Settings, *, fsync: bool, patience_s: float) -> Engine:
    from config.postgresql import arguments, connect  # noqa: PLC0415  # the driver, which SQLite does without

    engine = create_engine(
        url,
        hide_parameters=True,  # errors are logged, and the parameters are bodies
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args=arguments(settings, fsync=fsync, patience_s=patience_s),
    )

    def do_connect(_dialect: object, _record: object, words: list[Any], arguments: dict[str, Any]) -> Any:  # noqa: ANN401  # SQLAlchemy's event API
        return connect(*words, patience_s=patience_s, **arguments)

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "handle_error", _give_up_connection)
    return engine


def _give_up_connection(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) in NOT_HERE_ANY_MORE:
        context.is_disconnect = True
