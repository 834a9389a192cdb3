"""Many rows by one statement, given to the driver as text: for what every webhook passes through.

SQLAlchemy's own way to the same statement takes twice as long as the database does with it.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, String, Table
from sqlalchemy.types import TypeEngine

from ledger.prepared import say

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
    """Insert rows; give the id and some columns of each that was inserted.

    Args:
        db: a write transaction.
        table: where to.
        columns: which of its columns a row holds; the others get their defaults.
        rows: values as the driver takes them.
        giving: which of these columns to give, after the id.
        ignore_known: leave existing rows as they are, whatever unique key they share with a new one.

    """
    insert = _insert_in_sqlite if db.dialect.name == "sqlite" else _insert_in_postgresql
    most = MAX_PARAMETERS // len(columns)
    shape = _Shape(table, columns, giving, ignore_known)
    inserted: list[Any] = []
    for start in range(0, len(rows), most):
        inserted += insert(db, shape, rows[start : start + most])
    return inserted


class _Shape(NamedTuple):
    table: Table
    columns: tuple[str, ...]
    giving: tuple[str, ...]
    ignore_known: bool


def _insert_in_postgresql(db: Connection, shape: _Shape, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Insert column by column, each an array: one statement for any number of rows, which the server knows by then."""
    return list(say(db, _text_for_arrays(shape, db.dialect), [list(column) for column in zip(*rows, strict=True)]))


@cache
def _text_for_arrays(shape: _Shape, dialect: Dialect) -> str:
    arrays = ", ".join(f"%b::{_array_of(shape.table.c[name].type, dialect)}" for name in shape.columns)
    giving = ", ".join(shape.giving)
    return f"{_insert_into(shape)} SELECT * FROM unnest({arrays}){_conflict(shape)} RETURNING id, {giving}"


def _array_of(kind: TypeEngine[Any], dialect: Dialect) -> str:
    # As plain text: cast to a type of so many characters, what is too long would be cut off and not refused.
    return "text[]" if isinstance(kind, String) else f"{kind.compile(dialect=dialect)}[]"


def _insert_in_sqlite(db: Connection, shape: _Shape, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Insert without RETURNING: the driver gives up Python's lock for each row that it fetches.

    Under load it gets it back after as long as one request takes. There is one writer, and one statement gives its
    rows one id after the other (sqlite.org/autoinc.html), so the last one says them all.
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
