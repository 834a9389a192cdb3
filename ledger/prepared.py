"""Statements that are put into the driver's words once: for what every delivery passes through.

SQLAlchemy looks a statement up, binds its values and makes a result of its rows anew each time, which takes ten times
as long as SQLite does with it.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, CursorResult, Dialect, Executable, Table
from sqlalchemy.sql import ClauseElement


class Prepared:
    """A statement of SQLAlchemy's that is made once and run often.

    Values go to the driver as they are, and rows come from it as they are: SQLite says 0 and 1 for false and true.
    Lists (`IN` with an expanding parameter) are not for this.
    """

    def __init__(self, statement: Executable | Callable[[str], Executable]) -> None:
        """Take a statement, or what makes it for a database (by SQLAlchemy's name) where they say it differently."""
        self._statement = statement
        self._words: dict[tuple[str, tuple[str, ...]], _Words] = {}

    def execute(self, db: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Run it. An INSERT writes the columns that are named; the others get their defaults.

        Raises:
            KeyError, DBAPIError: a value is missing.

        """
        names = tuple(values)
        words = self._words.get((db.dialect.name, names))
        if words is None:
            words = self._words[db.dialect.name, names] = _put(self._statement_for(db.dialect), db.dialect, names)
        if words.positions is None:
            return db.exec_driver_sql(words.text, {**words.constants, **values})
        known = {**words.constants, **values} if words.constants else values
        return db.exec_driver_sql(words.text, tuple([known[name] for name in words.positions]))

    def _statement_for(self, dialect: Dialect) -> Executable:
        return self._statement if isinstance(self._statement, Executable) else self._statement(dialect.name)


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
