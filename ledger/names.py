"""Names in filters: one that there cannot be is a slip of the keyboard, and not an empty list."""

from collections.abc import Callable, Collection

from ledger import views
from ledger.event import OWN
from ledger.question import Asked
from ledger.views.filter import is_known
from ledger.views.requests import is_reason
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


def check_source(db: Asked, name: str | None, known: Known) -> None:
    """Make sure that there is a provider of this name among those that are known, or an event from it.

    Raises:
        UnknownName: there is none.

    """
    if name is None or name == OWN or has_events(db, name):
        return
    if name not in known():
        raise UnknownName("source", name, {*known(), *sources_in(db)})


def check_handler(db: Asked, name: str | None, known: Known) -> None:
    """Make sure that there is a handler of this name, or was one. Raises as `check_source` does."""
    if name is None or is_known(db, name):
        return
    if name not in known():
        raise UnknownName("handler", name, {*known(), *views.known_handlers(db)})


def check_reason(db: Asked, name: str | None) -> None:
    """Make sure that requests are refused for this, or were once. Raises as `check_source` does."""
    if name is not None and name not in REASONS and not is_reason(db, name):
        raise UnknownName("reason", name, REASONS)
