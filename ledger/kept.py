"""A connection that one thread keeps, and transactions over it in the driver's own words: for whoever writes all day.

For each transaction SQLAlchemy takes a connection out of its pool, makes objects for both and puts it back, which takes
half as long as SQLite does to commit an event.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from ledger.prepared import say


class Kept:
    """A connection to SQLite. It is opened when it is needed, and never used again after an error."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a write transaction that is committed at the end of the block.

        SQLAlchemy does not know of it and would begin another one: what is executed in it is prepared
        (`ledger.prepared`), or given to the driver.
        """
        connection = self._connection = self._connection or self._engine.connect()
        try:
            say(connection, "BEGIN IMMEDIATE", ())
            yield connection
            say(connection, "COMMIT", ())
        except BaseException:
            # SQLite may have ended the transaction or not, and an interrupt strikes anywhere. To close the connection
            # undoes what is open in any case, and costs no more than a look at what is left.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection. Whatever is not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # not back into the pool
            connection.close()
