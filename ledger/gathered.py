"""Rows that a transaction writes together, or has read together: one by one they cost several times as much.

They are written at its end, or as soon as a statement asks for a table that they belong in: nobody can tell. What was
read ahead of a table is known until then.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table

from ledger.errors import WorkUndone

T = TypeVar("T")


class Kind(Generic[T]):
    """What is written alike."""

    __slots__ = ("tables", "write")

    def __init__(self, write: Callable[[Connection, Sequence[T]], None], *tables: Table) -> None:
        """Take what writes many of them, and all the tables that it reads or writes."""
        self.write = write
        self.tables = frozenset(tables)


Row = dict[str, Any]

Known = dict[tuple[Any, ...], Row | None]
# Rows by primary key, as they are now. None: there is no such row.


class Gathered:
    """What one transaction has still to write, and what it has read ahead."""

    __slots__ = ("_broken", "_known", "_waiting")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: dict[Kind[Any], list[Any]] = {}
        self._known: dict[Table, Known] = {}
        self._broken = False

    def know(self, table: Table, rows: Known) -> None:
        """Take rows that nobody else can change before the end of the transaction."""
        self._known[table] = rows

    def known(self, table: Table) -> Known:
        """Give the rows of a table that are known."""
        return self._known.get(table, {})

    def add(self, kind: Kind[T], item: T) -> None:
        """Take one more."""
        self._waiting.setdefault(kind, []).append(item)

    def write(self, db: Connection, *, about: frozenset[Table] | None = None) -> None:
        """Write all of it, or all that has to do with these tables, in the order in which it came.

        What is known of these tables is forgotten: somebody else is about to read or write them.

        Raises:
            WorkUndone: something could not be written before, and its error was swallowed.
            Exception: whatever is raised by what writes.

        """
        if self._broken:
            raise WorkUndone("what was left to be written could not be, and the handler went on")
        for table in tuple(self._known):
            if about is None or table in about:
                del self._known[table]
        for kind in tuple(self._waiting):
            if about is None or not about.isdisjoint(kind.tables):
                self._broken = True  # The error may meet, and be swallowed by, somebody whose row it is not.
                kind.write(db, self._waiting.pop(kind))
                self._broken = False

    def forget(self) -> None:
        """Leave it unwritten."""
        self._waiting.clear()
        self._known.clear()
        self._broken = False
