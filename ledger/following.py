"""Follow the events as they come in."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ledger import views
from ledger.views import Filter, View

LOOKBACK = 500
# PostgreSQL gives ids before it commits: an event may appear below one that was seen already. Whoever follows asks from
# so far below, and leaves out what they have seen.


def newest(db: Connection, *, before: float | None = None) -> int:
    """Give the id of the newest event, or of the newest one that came in before a time (Unix seconds); or 0."""
    return views.last_event_id(db, before=before)


def ids_after(db: Connection, event_id: int, *, limit: int) -> list[int]:
    """Give the ids of the events after this one, oldest first."""
    return views.event_ids_after(db, event_id, limit=limit)


def events_of(db: Connection, ids: Sequence[int], *, source: str | None = None) -> list[View]:
    """Give these events, oldest first; what Hookline says of itself only where its source is asked for."""
    return views.list_events_among(db, ids, Filter(source=source)) if ids else []
