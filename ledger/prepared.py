"""Statements that are put into the driver's words once: for what every delivery passes through.

SQLAlchemy looks a statement up, binds its values and makes a result of its rows anew each time, which takes ten times
as long as SQLite does with it. So these go past it, to the driver itself; only the driver's errors become SQLAlchemy's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Dialect, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement


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


class Prepared:
    """A statement of SQLAlchemy's that is made once and run often.

    Values go to the driver as they are, and rows come from it as they are: SQLite says 0 and 1 for false and true.
    Lists (`IN` with an expanding parameter) are not for this.
    """

    def __init__(self, statement: Executable | Mapping[str, Executable]) -> None:
        """Take a statement, or one for each database (by SQLAlchemy's names of them) where they say it differently."""
        self._statement = statement
        self._words: dict[tuple[str, tuple[str, ...]], _Words] = {}

    def execute(self, db: Connection, values: Mapping[str, Any]) -> Found:
        """Run it. An INSERT writes the columns that are named; the others get their defaults.

        Raises:
            KeyError, DBAPIError: a value is missing.

        """
        names = tuple(values)
        words = self._words.get((db.dialect.name, names))
        if words is None:
            words = self._words[db.dialect.name, names] = _put(self._statement_for(db.dialect), db.dialect, names)
        known = {**words.constants, **values} if words.constants else values
        bound = known if words.positions is None else [known[name] for name in words.positions]
        return tell_driver(db, words.text, bound)

    def _statement_for(self, dialect: Dialect) -> Executable:
        return self._statement[dialect.name] if isinstance(self._statement, Mapping) else self._statement


def insert_unless_known(table: Table, *returning: Column[Any]) -> Prepared:
    """Prepare an INSERT of one row that leaves existing rows as they are, whatever unique key they share with it."""
    made = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        statement: Any = dialect.insert(table).on_conflict_do_nothing()
        made[name] = statement.returning(*returning) if returning else statement
    return Prepared(made)


def tell_driver(db: Connection, words: str, values: Any = ()) -> Found:  # noqa: ANN401  # as the driver takes them
    """Say something to the driver itself, in its own words.

    Raises:
        DBAPIError: as SQLAlchemy would say it. A connection that was lost is known to be lost.

    """
    driver_connection: Any = db.connection.driver_connection
    try:
        return Found(driver_connection.execute(words, values))
    except db.dialect.loaded_dbapi.Error as error:
        lost = db.dialect.is_disconnect(error, driver_connection, None)
        if lost:
            db.invalidate(error)
        raise DBAPIError.instance(
            words,
            None,
            error,
            db.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=db.dialect,
        ) from error


class _Words(NamedTuple):
    text: str
    positions: tuple[str, ...] | None  # the values' names in the order of the marks; None where marks have names
    constants: dict[str, Any]  # values that stand in the statement itself


def _put(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> _Words:
    if not isinstance(statement, ClauseElement):
        raise TypeError(type(statement).__name__)
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    constants = {name: bind.value for name, bind in compiled.binds.items() if name not in names and not bind.required}
    return _Words(str(compiled), tuple(compiled.positiontup) if compiled.positional else None, constants)
