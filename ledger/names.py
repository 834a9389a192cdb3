"""Names in filters: one that there cannot be is a slip of the keyboard, and not an empty list."""

from collections.abc import Callable, Collection

from sqlalchemy import Connection, select

from ledger import own, views
from ledger.tables import requests
from ledger.views.filter import is_known
from ledger.views.sources import has_events, sources_in

REASONS = frozenset(
    {
        "body_cut_off",
        "body_too_large",
        "body_too_slow",
        "content_encoding_unsupported",
        "content_type_unsupported",
        "header_repeated",
        "shutting_down",
        "signature_malformed",
        "signature_mismatch",
        "signature_missing",
        "source_not_configured",
        "timestamp_in_future",
        "timestamp_malformed",
        "timestamp_missing",
        "timestamp_too_old",
        "too_many_bodies",
    }
)
# What our own receivers refuse requests for.

Known = Callable[[], Collection[str]]
# Asked for only when the ledger has never heard of a name: it may have to be loaded.


class UnknownName(LookupError):
    """There is nothing of this name; `what` it was said to be is how the filter calls it."""

    def __init__(self, what: str, name: str, known: Collection[str]) -> None:
        """Take also the names that there are."""
        super().__init__(f"there is no {what} {name!r}; there are {', '.join(sorted(known))}")
        self.what = what


def check_source(db: Connection, name: str | None, known: Known) -> None:
    """Make sure that there is a provider of this name among those that are known, or an event from it.

    Raises:
        UnknownName: there is none.

    """
    if name is None or name == own.SOURCE or has_events(db, name):
        return
    if name not in known():
        raise UnknownName("source", name, {*known(), *sources_in(db)})


def check_handler(db: Connection, name: str | None, known: Known) -> None:
    """Make sure that there is a handler of this name, or was one. Raises as `check_source` does."""
    if name is None or is_known(db, name):
        return
    if name not in known():
        raise UnknownName("handler", name, {*known(), *views.known_handlers(db)})


def check_reason(db: Connection, name: str | None) -> None:
    """Make sure that requests are refused for this, or were once. Raises as `check_source` does."""
    if name is None or name in REASONS:
        return
    found = db.execute(select(requests.c.reason).where(requests.c.reason == name).limit(1)).first()
    if found is None:
        raise UnknownName("reason", name, REASONS)
