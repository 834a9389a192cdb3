"""Many rows by one statement, given to the driver as text: for what every webhook passes through.

SQLAlchemy's own way to the same statement takes twice as long as the database does with it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Float, String, Table, insert
from sqlalchemy.types import TypeEngine

from ledger.prepared import Prepared, insert_unless_known, say, unless_known

MAX_PARAMETERS = 30_000
# SQLite takes 32,766 in one statement.


def insert_rows(
    db: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    giving: tuple[str, ...],
    ignore_known: bool = False,
) -> list[Any]:
    """Insert rows into SQLite; give the id and some columns of each that was inserted.

    Args:
        db: a write transaction.
        table: where to.
        columns: which of its columns a row holds; the others get their defaults.
        rows: values as the driver takes them.
        giving: which of these columns to give, after the id.
        ignore_known: leave existing rows as they are, whatever unique key they share with a new one.

    """
    most = MAX_PARAMETERS // len(columns)
    shape = _Shape(table, columns, giving, ignore_known)
    inserted: list[Any] = []
    for start in range(0, len(rows), most):
        inserted += _insert_in_sqlite(db, shape, rows[start : start + most])
    return inserted


class _Shape(NamedTuple):
    table: Table
    columns: tuple[str, ...]
    giving: tuple[str, ...]
    ignore_known: bool


def _say_arrays(db: Connection, shape: _Shape, columns: Iterable[Iterable[Any]]) -> Any:  # noqa: ANN401  # a cursor of psycopg's
    return say(db, _text_for_arrays(shape, db.dialect), [list(column) for column in columns])


@cache
def _text_for_arrays(shape: _Shape, dialect: Dialect) -> str:
    arrays = arrays_of(shape.table, shape.columns, dialect)
    giving = f" RETURNING id, {', '.join(shape.giving)}" if shape.giving else ""
    return f"{_insert_into(shape)} SELECT * FROM unnest({arrays}){_conflict(shape)}{giving}"


def arrays_of(table: Table, columns: Iterable[str], dialect: Dialect) -> str:
    """Give PostgreSQL's marks for these columns, each an array: one text for any number of rows."""
    return ", ".join(f"%b::{_array_of(table.c[name].type, dialect)}" for name in columns)


def _array_of(kind: TypeEngine[Any], dialect: Dialect) -> str:
    # As plain text: cast to a type of so many characters, what is too long would be cut off and not refused.
    return "text[]" if isinstance(kind, String) else f"{kind.compile(dialect=dialect)}[]"


def _insert_in_sqlite(db: Connection, shape: _Shape, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Insert without RETURNING: the driver gives up Python's lock for each row that it fetches.

    Under load it gets it back after as long as one request takes. There is one writer, and one statement gives its
    rows one id after the other (sqlite.org/autoinc.html), so the last one says them all. With AUTOINCREMENT, rows
    that are left out would use ids up: no table has it.
    """
    result = say(db, _insert_text(shape, len(rows)), tuple(chain.from_iterable(rows)))
    first = result.lastrowid - result.rowcount + 1
    if result.rowcount == len(rows):
        positions = [shape.columns.index(name) for name in shape.giving]
        given = [[row[position] for row in rows] for position in positions]
        return list(zip(range(first, first + len(rows)), *given, strict=True))
    if result.rowcount == 0:
        return []
    known = f"SELECT id, {', '.join(shape.giving)} FROM {shape.table.name} WHERE id >= ?"
    return list(say(db, known, (first,)))


@lru_cache(maxsize=1_024)
def _insert_text(shape: _Shape, count: int) -> str:
    row = f"({', '.join('?' * len(shape.columns))})"
    return f"{_insert_into(shape)} VALUES {', '.join([row] * count)}{_conflict(shape)}"


def _insert_into(shape: _Shape) -> str:
    names = ", ".join(f'"{column}"' for column in shape.columns)
    return f"INSERT INTO {shape.table.name} ({names})"


def _conflict(shape: _Shape) -> str:
    return " ON CONFLICT DO NOTHING" if shape.ignore_known else ""


class InsertMany:
    """An INSERT of rows that are given by name and all have the same names.

    In SQLite one after the other by one statement, and in PostgreSQL all at once.
    """

    def __init__(self, table: Table, *, ignore_known: bool) -> None:
        """Take the table. `ignore_known`: as for `insert_rows`."""
        self._table, self._ignore_known = table, ignore_known
        self._one = insert_unless_known(table) if ignore_known else Prepared(insert(table).inline())

    def write(self, db: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert them. Say how many rows that made."""
        if not rows:
            return 0
        if db.dialect.name == "sqlite":
            return self._one.execute_each(db, rows)
        shape = _Shape(self._table, tuple(rows[0]), (), self._ignore_known)
        made: int = _say_arrays(db, shape, _columns(shape, rows)).rowcount
        return made


class InsertGivingIds(Prepared):
    """An INSERT of rows that leaves existing rows as they are, and says under which ids the new ones are."""

    def __init__(self, table: Table, *, known_by: str) -> None:
        """Take the table, whose primary key is one integer, and the column that tells its rows apart."""
        # In SQLite, RETURNING takes half as long again as all of an INSERT into ten indexes.
        [key] = table.primary_key
        super().__init__(lambda name: unless_known(name, table, () if name == "sqlite" else (key,)))
        self._table, self._known_by = table, known_by

    def ids(self, db: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int | None]:
        """Insert these rows, which all have the same names. Give the id of each; None: there was one already."""
        if not rows:
            return []
        shape = _Shape(self._table, tuple(rows[0]), (self._known_by,), ignore_known=True)
        made = self._made_in_sqlite if db.dialect.name == "sqlite" else _say_arrays
        new = {known_by: id_ for id_, known_by in made(db, shape, _columns(shape, rows))}
        return [new.pop(row[self._known_by], None) for row in rows]  # of two that are one, the first is new

    def _made_in_sqlite(self, db: Connection, shape: _Shape, columns: Iterable[list[Any]]) -> list[Any]:
        values = list(zip(*columns, strict=True))
        return insert_rows(db, self._table, shape.columns, values, giving=shape.giving, ignore_known=True)


def _columns(shape: _Shape, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    for name in shape.columns:
        column = [row[name] for row in rows]
        # The driver makes arrays of one type only.
        yield _floats(column) if isinstance(shape.table.c[name].type, Float) else column


def _floats(column: Iterable[float | None]) -> list[float | None]:
    return [None if each is None else float(each) for each in column]
