"""A connection that one thread keeps, and transactions over it in the driver's own words: for whoever writes all day.

For each transaction SQLAlchemy takes a connection out of its pool, asks PostgreSQL whether it is still there, makes
objects for both and puts it back, which takes half as long as SQLite does to commit an event.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from ledger.prepared import say


class Kept:
    """A connection. It is opened when it is needed, and never used again after an error."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._in_turns = engine.dialect.name == "sqlite"
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a write transaction that is committed at the end of the block.

        SQLAlchemy does not know of it and would begin another one: what is executed in it is prepared
        (`ledger.prepared`), or given to the driver. PostgreSQL commits each statement by itself, to save the round
        trips: what belongs together is one statement there.
        """
        connection = self._connection = self._connection_now()
        try:
            if self._in_turns:
                say(connection, "BEGIN IMMEDIATE", ())
            yield connection
            if self._in_turns:
                say(connection, "COMMIT", ())
        except BaseException:
            # SQLite may have ended the transaction or not, and an interrupt strikes anywhere. To close the connection
            # undoes what is open in any case, and costs no more than a look at what is left.
            self.close()
            raise

    def _connection_now(self) -> Connection:
        if self._in_turns:
            return self._connection or self._engine.connect()
        if self._connection is not None and _was_left(self._connection):
            self.close()
        return self._connection or self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def give_back(self) -> None:
        """Leave the connection to others until the next transaction. There may be no other (DATABASE_POOL_SIZE)."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the connection. Whatever is not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # not back into the pool
            connection.close()


def _was_left(connection: Connection) -> bool:
    """Say whether PostgreSQL has hung up since the last answer: there is something to read, and nobody has asked.

    A look at the socket is enough, where the pool's way takes a round trip.
    """
    driver_connection: Any = connection.connection.driver_connection
    if driver_connection.closed:
        return True
    said = select.poll()
    said.register(driver_connection.fileno(), select.POLLIN)
    return bool(said.poll(0))
