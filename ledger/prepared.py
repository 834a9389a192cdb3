"""Statements that are put into the driver's words once: for what every delivery passes through.

SQLAlchemy looks a statement up, binds its values and makes a result of its rows anew each time, which takes ten times
as long as SQLite does with it. So these go past it, to the driver itself; only the driver's errors become SQLAlchemy's.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Table,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

from config.database import NOT_HERE_ANY_MORE


class Found:
    """What a prepared statement found, read to its end, and how many rows it wrote."""

    __slots__ = ("_cursor", "_rows", "rowcount")

    def __init__(self, cursor: Any) -> None:  # noqa: ANN401  # of either driver
        self._cursor = cursor
        self._rows: list[tuple[Any, ...]] = [] if cursor.description is None else cursor.fetchall()
        self.rowcount: int = cursor.rowcount

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Give the rows."""
        return iter(self._rows)

    def first(self) -> tuple[Any, ...] | None:
        """Give the first row, if there is one."""
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:  # noqa: ANN401  # whatever the column holds
        """Give the first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def by_name(self) -> list[dict[str, Any]]:
        """Give the rows by their columns' names."""
        names = [column[0] for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._rows]


def say(db: Connection, text: str, values: Sequence[Any]) -> Any:  # noqa: ANN401  # a cursor of either driver
    """Give a statement to the driver itself, in its own words. Raises DBAPIError."""
    driver_connection: Any = db.connection.driver_connection
    with _said_as_sqlalchemy_does(db, text):
        return driver_connection.execute(text, values)


class Prepared:
    """A statement of SQLAlchemy's that is made once and run often.

    Values go to the driver as they are, and rows come from it as they are: SQLite says 0 and 1 for false and true.
    Lists go in one value: see `prepare_with_lists`.
    """

    def __init__(self, statement: Executable | Callable[[str], Executable]) -> None:
        """Take a statement, or what makes it for a database (by SQLAlchemy's name) where they say it differently."""
        self._statement = statement
        self._words: dict[tuple[str, tuple[str, ...]], _Words] = {}

    def execute(self, db: Connection, values: Mapping[str, Any]) -> Found:
        """Run it. An INSERT writes the columns that are named; the others get their defaults.

        Raises:
            KeyError, DBAPIError: a value is missing.

        """
        words = self._words_for(db.dialect, tuple(values))
        driver_connection: Any = db.connection.driver_connection
        with _said_as_sqlalchemy_does(db, words.text):
            return Found(driver_connection.execute(words.text, words.bind(values)))

    def execute_each(self, db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of these, which all have the same names. Raises as `execute` does."""
        if not rows:
            return
        words = self._words_for(db.dialect, tuple(rows[0]))
        driver_connection: Any = db.connection.driver_connection
        with _said_as_sqlalchemy_does(db, words.text):
            driver_connection.cursor().executemany(words.text, [words.bind(row) for row in rows])

    def _words_for(self, dialect: Dialect, names: tuple[str, ...]) -> "_Words":
        words = self._words.get((dialect.name, names))
        if words is None:
            words = self._words[dialect.name, names] = _put(self._statement_for(dialect), dialect, names)
        return words

    def _statement_for(self, dialect: Dialect) -> Executable:
        return self._statement if isinstance(self._statement, Executable) else self._statement(dialect.name)


Among = Callable[[Column[Any], str], ColumnElement[bool]]


def prepare_with_lists(make: Callable[[Among], Executable]) -> Prepared:
    """Prepare a statement that names rows by lists: `among(column, name)` takes what `as_list` makes."""
    return Prepared(lambda dialect_name: make(_among_json if dialect_name == "sqlite" else _among_array))


def as_list(db: Connection, values: Iterable[Any]) -> Any:  # noqa: ANN401  # as the driver takes it
    """Make one value of a list."""
    return json.dumps(list(values)) if db.dialect.name == "sqlite" else list(values)


def _among_json(column: Column[Any], name: str) -> ColumnElement[bool]:
    rows = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=f"each_{name}")
    return column.in_(select(rows.c.value))


def _among_array(column: Column[Any], name: str) -> ColumnElement[bool]:
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def insert_unless_known(table: Table, *returning: Column[Any]) -> Prepared:
    """Prepare an INSERT of one row that leaves existing rows as they are, whatever unique key they share with it."""
    return Prepared(partial(unless_known, table=table, returning=returning))


@cache
def unless_known(dialect_name: str, table: Table, returning: tuple[Column[Any], ...]) -> Any:  # noqa: ANN401  # two unrelated Insert classes
    """Make an INSERT that leaves existing rows as they are, in one database's words; once, for it takes a while.

    The words of a database come with all of its drivers: those of the other one are not imported.
    """
    dialect = import_module(f"sqlalchemy.dialects.{dialect_name}")
    statement = dialect.insert(table).on_conflict_do_nothing()
    return statement.returning(*returning) if returning else statement


class _said_as_sqlalchemy_does:  # noqa: N801  # reads as a function; a generator would take as long as the statement
    """Makes of the driver's error what SQLAlchemy makes of it. A connection that was lost is known to be lost."""

    __slots__ = ("_db", "_text")

    def __init__(self, db: Connection, text: str) -> None:
        self._db = db
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        db = self._db
        driver = db.dialect.loaded_dbapi
        if not isinstance(error, driver.Error):
            return
        elsewhere = getattr(error, "sqlstate", None) in NOT_HERE_ANY_MORE
        lost = elsewhere or db.dialect.is_disconnect(error, db.connection.driver_connection, None)
        if lost:
            db.invalidate(error)
        raise DBAPIError.instance(
            self._text,
            None,
            error,
            driver.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=db.dialect,
        ) from error


class _Words(NamedTuple):
    text: str
    positions: tuple[str, ...] | None  # the values' names in the order of the marks; None where marks have names
    constants: dict[str, Any]  # values that stand in the statement itself

    def bind(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as the driver takes them
        """Put values in their places."""
        known = {**self.constants, **values} if self.constants else values
        return known if self.positions is None else [known[name] for name in self.positions]


def _put(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> _Words:
    if not isinstance(statement, ClauseElement):
        raise TypeError(type(statement).__name__)
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    constants = {name: bind.value for name, bind in compiled.binds.items() if name not in names and not bind.required}
    return _Words(str(compiled), tuple(compiled.positiontup) if compiled.positional else None, constants)
