"""Names in what the API is asked: the same are refused as by the commands."""

from collections.abc import Collection

from sqlalchemy import Connection

from ledger import names
from ledger.views import Filter


class Names:
    """Knows the sources and the handlers of this service."""

    def __init__(self, *, sources: Collection[str], handlers: Collection[str]) -> None:
        """Take their names; those that only the ledger remembers are looked up there."""
        self._sources = sources
        self._handlers = handlers

    def check(self, db: Connection, wanted: Filter) -> None:
        """Refuse a filter whose source or handler there cannot be.

        Raises:
            ledger.names.UnknownName: names those that there are.

        """
        self.check_source(db, wanted)
        names.check_handler(db, wanted.handler, lambda: self._handlers)

    def check_source(self, db: Connection, wanted: Filter) -> None:
        """Refuse a filter whose source there cannot be. Raises as `check`."""
        names.check_source(db, wanted.source, lambda: self._sources)
