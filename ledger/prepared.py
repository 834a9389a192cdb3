"""Statements that are put into the driver's words once: for what every delivery passes through.

SQLAlchemy looks a statement up, binds its values and makes a result of its rows anew each time, which takes ten times
as long as SQLite does with it. So these go past it, to the driver itself; only the driver's errors become SQLAlchemy's.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

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
from sqlalchemy.sql import ClauseElement, visitors

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

    @property
    def new_id(self) -> int | None:
        """Give the id of the row that an `InsertGivingIds` made, or None."""
        if self._cursor.description is not None:
            found: int | None = self.scalar()
            return found
        return self._cursor.lastrowid if self.rowcount > 0 else None

    def by_name(self) -> list[dict[str, Any]]:
        """Give the rows by their columns' names."""
        names = [column[0] for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._rows]


def say(db: Connection, text: str, values: Sequence[Any]) -> Any:  # noqa: ANN401  # a cursor of either driver
    """Give a statement to the driver itself, in its own words. Raises DBAPIError."""
    driver_connection: Any = db.connection.driver_connection
    try:
        return driver_connection.execute(text, values)
    except db.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_says_it(error, db, text) from error


class Prepared:
    """A statement of SQLAlchemy's that is made once and run often.

    Values go to the driver as they are, and rows come from it as they are: SQLite says 0 and 1 for false and true.
    Lists go in one value: see `prepare_with_lists`.
    """

    def __init__(self, statement: Executable | Callable[[str], Executable]) -> None:
        """Take a statement, or what makes it for a database (by SQLAlchemy's name) where they say it differently."""
        self._statement = statement
        self._words: dict[tuple[str, tuple[str, ...]], Words] = {}
        self._tables: dict[str, frozenset[Table]] = {}  # by database

    def execute(self, db: Connection, values: Mapping[str, Any]) -> Found:
        """Run it. An INSERT writes the columns that are named; the others get their defaults.

        Raises:
            KeyError, DBAPIError: a value is missing.

        """
        words = self.words_for(db.dialect, tuple(values))
        driver_connection: Any = db.connection.driver_connection
        try:
            return Found(driver_connection.execute(words.text, words.bind(values)))
        except db.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy_says_it(error, db, words.text) from error

    def execute_each(self, db: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it once for each of these, which all have the same names. Say how many rows that wrote.

        Raises as `execute` does.
        """
        if not rows:
            return 0
        words = self.words_for(db.dialect, tuple(rows[0]))
        driver_connection: Any = db.connection.driver_connection
        try:
            cursor = driver_connection.cursor()
            cursor.executemany(words.text, map(words.bind, rows))
            written: int = cursor.rowcount
        except db.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy_says_it(error, db, words.text) from error
        return written

    def tables(self, dialect: Dialect) -> frozenset[Table]:
        """Say which tables it reads or writes."""
        tables = self._tables.get(dialect.name)
        if tables is None:
            parts: Any = visitors.iterate(self._statement_for(dialect))  # type: ignore[arg-type]  # it is a clause
            tables = frozenset(each for each in parts if isinstance(each, Table))
            self._tables[dialect.name] = tables
        return tables

    def words_for(self, dialect: Dialect, names: tuple[str, ...]) -> "Words":
        """Give it in the driver's words, for values of these names."""
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


class Speaks(Protocol):
    """What knows which SQL its database speaks: a connection, a transaction."""

    @property
    def dialect(self) -> Dialect:
        """Its SQL."""


def as_list(db: Speaks, values: Iterable[Any]) -> Any:  # noqa: ANN401  # as the driver takes it
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


def as_sqlalchemy_says_it(error: Any, db: Connection, text: str) -> BaseException:  # noqa: ANN401  # of either driver
    """Make of the driver's error what SQLAlchemy makes of it. A connection that was lost is known to be lost."""
    elsewhere = getattr(error, "sqlstate", None) in NOT_HERE_ANY_MORE
    lost = elsewhere or db.dialect.is_disconnect(error, db.connection.driver_connection, None)
    if lost:
        db.invalidate(error)
    kind = db.dialect.loaded_dbapi.Error
    said: BaseException = DBAPIError.instance(
        text, None, error, kind, hide_parameters=True, connection_invalidated=lost, dialect=db.dialect
    )
    return said


class Words(NamedTuple):
    """A statement as a driver takes it."""

    text: str
    bind: Callable[[Mapping[str, Any]], Any]  # puts values in their places, as the driver takes them


def _put(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> Words:
    if not isinstance(statement, ClauseElement):
        raise TypeError(type(statement).__name__)
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    constants = {name: bind.value for name, bind in compiled.binds.items() if name not in names and not bind.required}
    return Words(str(compiled), _binder(compiled.positiontup if compiled.positional else None, constants))


def _binder(positions: Sequence[str] | None, constants: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Make what puts values in their places. Some values (`constants`) stand in the statement itself."""
    if positions is None:  # its marks have names
        return (lambda values: {**constants, **values}) if constants else _as_they_are
    if constants or len(positions) < MANY:
        return lambda values: [values[name] if name in values else constants[name] for name in positions]
    return itemgetter(*positions)


MANY = 2
# Of one name alone, itemgetter gives no tuple.


def _as_they_are(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return values
