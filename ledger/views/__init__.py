"""Look at the ledger: what the CLI and `/hookline` show. Reads only, and never all of a long history.

They ask in SQL as text (`ledger.question`), so that a command that looks need not import SQLAlchemy. What counts is
beside it: `ledger.views.stats` and `ledger.views.sources`.
"""

from ledger.shown import View, rfc3339
from ledger.views.body import get_body
from ledger.views.deliveries import (
    count_deliveries,
    count_effects,
    delivery_ids_of,
    known_handlers,
    list_deliveries,
    missing_deliveries,
    page_of_deliveries,
    position_of_delivery,
)
from ledger.views.event import find_event, find_events, get_event, read_id
from ledger.views.events import (
    event_ids_after,
    last_event_id,
    list_events,
    list_events_among,
    page_of_events,
    position_of_event,
)
from ledger.views.filter import Filter, Position, event_conditions, in_parts, within_a_day
from ledger.views.requests import list_requests, page_of_requests, position_of_request
from ledger.views.view import Page

__all__ = [
    "Filter",
    "Page",
    "Position",
    "View",
    "count_deliveries",
    "count_effects",
    "delivery_ids_of",
    "event_conditions",
    "event_ids_after",
    "find_event",
    "find_events",
    "get_body",
    "get_event",
    "in_parts",
    "known_handlers",
    "last_event_id",
    "list_deliveries",
    "list_events",
    "list_events_among",
    "list_requests",
    "missing_deliveries",
    "page_of_deliveries",
    "page_of_events",
    "page_of_requests",
    "position_of_delivery",
    "position_of_event",
    "position_of_request",
    "read_id",
    "rfc3339",
    "within_a_day",
]
