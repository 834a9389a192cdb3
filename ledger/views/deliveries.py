"""The list of deliveries, newest events first; and how many there are, of which handlers."""

from collections.abc import Collection

from ledger.event import DeliveryState
from ledger.indexed import DEAD, QUEUED, RUNNING, WAITING
from ledger.question import Asked, Clause, Row, all_of, among, column, each, first, rows, value
from ledger.shown import View
from ledger.views.filter import Filter, Position, below, down, event_conditions, is_about_events, is_known
from ledger.views.view import NOTHING, Page, cut, delivery_view, event_of, one_more

BY_EVENT = ("events.received_at", "events.id", "deliveries.id")
BY_DELIVERY = ("deliveries.event_id", "deliveries.id")
# Two ways to go down the list. Both have an index that can answer most of a filter by itself.

FEW = {
    DeliveryState.PENDING: f"SELECT id FROM deliveries WHERE {WAITING}",
    DeliveryState.FAILED: f"SELECT id FROM deliveries WHERE {WAITING}",
    DeliveryState.QUEUED: f"SELECT id FROM deliveries WHERE {QUEUED}",
    DeliveryState.RUNNING: f"SELECT id FROM deliveries WHERE {RUNNING}",
    DeliveryState.DEAD: f"SELECT id FROM deliveries WHERE {DEAD}",
    DeliveryState.DISMISSED: "SELECT delivery_id FROM dismissals",
}
# Where the deliveries of a state are among, if they are few: found at once, however long the history has grown.

_ITS = (
    "id, event_id, handler, queue, state, attempts, crashes, announcements, due_at, finished_at, last_error, replay_id"
)
_SHOWN = ", ".join(f"deliveries.{name}" for name in _ITS.split(", "))


def page_of_deliveries(db: Asked, wanted: Filter) -> Page:
    """Give a page of deliveries with the event that each is for, newest events first; `wanted.limit` is how many."""
    if wanted.handler is not None and not is_known(db, wanted.handler):
        return NOTHING
    shown, after = cut(_newest(db, wanted), wanted.limit, by=("received_at", "event_id", "id"))
    return Page([delivery_view(row) | event_of(row) for row in shown], after)


def list_deliveries(db: Asked, wanted: Filter) -> list[View]:
    """List deliveries with the event that each is for, newest events first."""
    return page_of_deliveries(db, wanted).views


def position_of_delivery(db: Asked, delivery_id: int) -> Position | None:
    """Say where in the list a delivery is; None: there is no such delivery."""
    row = first(db, _POSITION, {"id": delivery_id})
    return None if row is None else (row["received_at"], row["event_id"], row["id"])


_POSITION = """
    SELECT events.received_at, deliveries.event_id, deliveries.id
    FROM deliveries JOIN events ON events.id = deliveries.event_id WHERE deliveries.id = :id
"""


def _newest(db: Asked, wanted: Filter) -> list[Row]:
    """Find the deliveries that match, with what is shown of their events."""
    few = FEW.get(DeliveryState(wanted.state)) if wanted.state is not None else None
    columns = BY_EVENT if few is not None or is_about_events(wanted) else BY_DELIVERY
    its_event = "events.id = deliveries.event_id"
    if few is None and columns is BY_EVENT:
        # SQLite finds no row by a sum, so it goes down the events, and not by all deliveries to look up their events.
        its_event = "events.id + 0 = deliveries.event_id"
    clauses = [*event_conditions(wanted), *_own_conditions(wanted)]
    if few is not None:
        clauses.append(Clause(f"deliveries.id IN ({few})"))
    if wanted.before is not None:
        clauses.append(below(columns, wanted.before[-len(columns) :]))
    its, most = all_of(clauses), one_more(wanted.limit)
    text = f"""
        SELECT {_SHOWN}, events.source, events.external_id, events.type, events.received_at
        FROM deliveries JOIN events ON {its_event}
        WHERE {its.text} {down(columns)} {most.text}
    """
    return rows(db, text, {**its.values, **most.values})


def _own_conditions(wanted: Filter) -> list[Clause]:
    clauses: list[Clause] = []
    if wanted.state is not None:
        clauses.append(Clause("deliveries.state = :state", {"state": str(wanted.state)}))
    if wanted.handler is not None:
        clauses.append(Clause("deliveries.handler = :handler", {"handler": wanted.handler}))
    return clauses


def deliveries_of(db: Asked, event_ids: Collection[int]) -> dict[int, list[View]]:
    """Show the deliveries of these events, by event."""
    by_event: dict[int, list[View]] = {event_id: [] for event_id in event_ids}
    its = among(db, "event_id", event_ids)
    for row in rows(db, f"SELECT {_ITS} FROM deliveries WHERE {its.text} ORDER BY id", its.values):
        by_event[row["event_id"]].append(delivery_view(row))
    return by_event


def missing_deliveries(db: Asked, ids: Collection[int]) -> list[int]:
    """Say which of these deliveries do not exist."""
    its = among(db, "id", ids)
    return sorted(set(ids).difference(column(db, f"SELECT id FROM deliveries WHERE {its.text}", its.values)))


def delivery_ids_of(db: Asked, event_ids: Collection[int]) -> set[int]:
    """Give the ids of these events' deliveries."""
    its = among(db, "event_id", event_ids)
    return set(column(db, f"SELECT id FROM deliveries WHERE {its.text}", its.values))


def known_handlers(db: Asked) -> list[str]:
    """Name the handlers that ever had a delivery."""
    # Sorted here: a database may sort words by the rules of some language, which is another one in the next database.
    return sorted(column(db, "SELECT DISTINCT handler FROM deliveries", {}))


def count_deliveries(db: Asked) -> dict[str, int]:
    """Count deliveries by state. Those that are done are what is left of all, which are counted without being read."""
    counts: dict[str, int] = {}
    for condition in (WAITING, QUEUED, RUNNING, DEAD):
        counts |= _by_state(db, f"deliveries WHERE {condition}")
    dismissed = f"id IN ({FEW[DeliveryState.DISMISSED]}) AND state = '{DeliveryState.DISMISSED}'"
    counts[DeliveryState.DISMISSED] = value(db, f"SELECT count(*) FROM deliveries WHERE {dismissed}", {})
    counts[DeliveryState.DONE] = value(db, "SELECT count(*) FROM deliveries", {}) - sum(counts.values())
    return {str(state): count for state, count in sorted(counts.items()) if count}


def count_effects(db: Asked) -> dict[str, int]:
    """Count effects by state."""
    return dict(sorted(_by_state(db, "effects").items()))


def _by_state(db: Asked, of: str) -> dict[str, int]:
    return {row[0]: row[1] for row in each(db, f"SELECT state, count(*) FROM {of} GROUP BY state", {})}
