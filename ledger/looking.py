"""A door to the ledger for who only looks, and not for long: a command. It does without SQLAlchemy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from config.door import Door
from ledger.errors import LedgerUnavailable
from ledger.question import Answer, Asked


class Looking:
    """One thread's way to look at the ledger. Its `read` is that of `ledger.store.Ledger`."""

    def __init__(self, door: Door) -> None:
        """Take the way to the database, which is gone when somebody first asks."""
        self._door = door
        self._connection: Any = None  # the driver's

    @contextmanager
    def read(self) -> Iterator[Asked]:
        """Open a transaction that sees one state of the ledger.

        Raises:
            LedgerUnavailable: the database does not answer, or knows no such table.

        """
        try:
            connection = self._begun()
            yield _Transaction(_Sql(self._door.sql), connection)
            connection.rollback()
        except self._door.error as error:
            self.close()
            raise LedgerUnavailable(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _begun(self) -> Any:  # noqa: ANN401  # the driver's connection
        """Begin a transaction, with a new connection where the last one was lost since somebody looked."""
        if self._connection is not None:
            try:
                self._connection.execute(self._door.begin)
            except self._door.error:
                self.close()
            else:
                return self._connection
        self._connection = self._door.connect()
        self._connection.execute(self._door.begin)
        return self._connection

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class _Sql:
    name: str


@dataclass(frozen=True, slots=True)
class _Transaction:
    """Asks the driver; spelled as SQLAlchemy spells it."""

    dialect: _Sql
    connection: Any

    def exec_driver_sql(self, statement: str, parameters: Any = None, /) -> Answer:  # noqa: ANN401  # the driver's
        return _Answer(self.connection.execute(statement, parameters))


@dataclass(frozen=True, slots=True)
class _Answer:
    cursor: Any

    def keys(self) -> Iterator[str]:
        return (column[0] for column in self.cursor.description)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.cursor)
