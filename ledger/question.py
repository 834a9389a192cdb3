"""Questions to the ledger, in SQL as text: for what only looks, which is `ledger.views` and the views of the book.

They need no SQLAlchemy, which takes longer to import than a command may take as a whole. `ledger.looking` asks SQLite
or psycopg with them; who has a connection of SQLAlchemy's, as the HTTP API, asks through that. Both databases
understand them: `:name` stands for a value, which is never part of the text.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

Row = dict[str, Any]  # by the names of the columns

SPELLINGS = 512
# As many texts are remembered as psycopg wants to read them. A filter has so many forms that are really used.

_NAME = re.compile(r":([a-z][a-z0-9_]*)")


class Dialect(Protocol):
    """Which SQL it is."""

    @property
    def name(self) -> str:
        """`sqlite` or `postgresql`."""


class Answer(Protocol):
    """The rows that were found."""

    def keys(self) -> Iterable[str]:
        """Name the columns."""

    def __iter__(self) -> Iterator[Sequence[Any]]:
        """Give the rows, each read when it is its turn."""


class Asked(Protocol):
    """A transaction that can be asked: one of `ledger.looking`, or a connection of SQLAlchemy's."""

    @property
    def dialect(self) -> Dialect:
        """Say which SQL it understands."""

    def exec_driver_sql(self, statement: str, parameters: Any = None, /) -> Answer:  # noqa: ANN401  # the driver's
        """Ask in the driver's own words."""


class Clause(NamedTuple):
    """What is true of some rows, with the values that it names."""

    text: str
    values: Mapping[str, Any] = {}


def all_of(clauses: Collection[Clause]) -> Clause:
    """Say all of these at once."""
    text = " AND ".join(clause.text for clause in clauses) or "TRUE"
    return Clause(text, {name: value for clause in clauses for name, value in clause.values.items()})


def among(db: Asked, column: str, values: Iterable[int] | Iterable[str], *, name: str = "these") -> Clause:
    """Say that a column holds one of these, however many: they are one value."""
    these = list(values)
    if not these:  # PostgreSQL wants to know of what kind there are none
        return Clause("FALSE")
    if db.dialect.name == "sqlite":
        return Clause(f"{column} IN (SELECT value FROM json_each(:{name}))", {name: json.dumps(these)})
    kind = "text" if isinstance(these[0], str) else "bigint"
    return Clause(f"{column} = ANY(CAST(:{name} AS {kind}[]))", {name: these})


def up_to(limit: int | None) -> Clause:
    """Say how many rows at the most; None: all of them."""
    return Clause("") if limit is None else Clause("LIMIT :limit", {"limit": limit})


def each(db: Asked, text: str, values: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Ask, and give the rows one by one."""
    return iter(db.exec_driver_sql(_spelled(text, db.dialect.name), dict(values)))


def rows(db: Asked, text: str, values: Mapping[str, Any]) -> list[Row]:
    """Ask, and give all rows."""
    found = db.exec_driver_sql(_spelled(text, db.dialect.name), dict(values))
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def first(db: Asked, text: str, values: Mapping[str, Any]) -> Row | None:
    """Ask, and give the first row, if there is one."""
    return next(iter(rows(db, text, values)), None)


def column(db: Asked, text: str, values: Mapping[str, Any]) -> list[Any]:
    """Ask, and give the first column of all rows."""
    return [row[0] for row in each(db, text, values)]


def value(db: Asked, text: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever the column holds
    """Ask, and give the first column of the first row, or None."""
    return next(iter(column(db, text, values)), None)


@lru_cache(SPELLINGS)
def _spelled(text: str, dialect: str) -> str:
    return text if dialect == "sqlite" else _NAME.sub(r"%(\1)s", text)
