"""Rows that a transaction gathers and writes together: one by one they cost several times as much.

They are written at its end, or as soon as a statement asks for a table that they belong in: nobody can tell.
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


class Gathered:
    """What one transaction has still to write."""

    __slots__ = ("_broken", "_waiting")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: dict[Kind[Any], list[Any]] = {}
        self._broken = False

    def add(self, kind: Kind[T], item: T) -> None:
        """Take one more."""
        self._waiting.setdefault(kind, []).append(item)

    def write(self, db: Connection, *, about: frozenset[Table] | None = None) -> None:
        """Write all of it, or all that has to do with these tables, in the order in which it came.

        Raises:
            WorkUndone: something could not be written before, and its error was swallowed.
            Exception: whatever is raised by what writes.

        """
        if self._broken:
            raise WorkUndone("what was left to be written could not be, and the handler went on")
        for kind in tuple(self._waiting):
            if about is None or not about.isdisjoint(kind.tables):
                self._broken = True  # The error may meet, and be swallowed by, somebody whose row it is not.
                kind.write(db, self._waiting.pop(kind))
                self._broken = False

    def forget(self) -> None:
        """Leave it unwritten."""
        self._waiting.clear()
        self._broken = False
