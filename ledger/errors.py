"""What can go wrong with the ledger, as its callers need to know it."""

from collections.abc import Sequence

from config.errors import ConfigError


class LedgerUnavailable(Exception):
    """Nothing can be committed right now: locked, full, away, or too much at once. Trying again can help."""


class WorkUndone(Exception):
    """A statement failed and the handler went on, as if all that it had written were still there."""


class LedgerNotMigrated(ConfigError):
    """The database has no tables yet, or older ones than this program needs."""


class Unknown(LookupError):
    """Some of the events or deliveries that were named do not exist; it says which."""


class SeveralEvents(LookupError):
    """Several events' external ids begin like that."""

    def __init__(self, prefix: str, some: Sequence[str]) -> None:
        super().__init__(f"{prefix} is how the ids of several events begin: {', '.join(some)}")
