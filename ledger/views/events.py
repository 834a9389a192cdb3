"""The list of events, newest first, and those that came in since somebody looked."""

from collections.abc import Collection

from ledger.event import OWN, DeliveryState, EffectState, EventState
from ledger.indexed import DEAD, DUE, FLAWED, QUEUED, RUNNING, SENDING, WAITING
from ledger.question import Asked, Clause, Row, all_of, among, column, each, first, rows, up_to, value
from ledger.shown import View
from ledger.views.deliveries import deliveries_of
from ledger.views.filter import Filter, Position, begins, below, down, event_conditions, has_handler, is_known
from ledger.views.view import NOTHING, Page, cut, event_view, one_more

WAITING_DELIVERIES = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.RUNNING)
WAITING_EFFECTS = (EffectState.PLANNED, EffectState.SENDING, EffectState.AMBIGUOUS)

NEWEST_FIRST = ("events.received_at", "events.id")
# An index has them in this order, with what most filters are about: even a search in vain reads nothing else.

MANY = 20_000

_SHOWN = "id, source, external_id, type, received_at, account, livemode, flaw, payload_pruned_at"


def _has(table: str, states: Collection[str]) -> str:
    quoted = ", ".join(f"'{state}'" for state in states)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {table}.event_id = events.id AND {table}.state IN ({quoted}))"


_IS_OWED = "EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id)"

UNFINISHED = (DeliveryState.DEAD, DeliveryState.FAILED, *WAITING_DELIVERIES)
UNSENT = (EffectState.DEAD, *WAITING_EFFECTS)

# The worst counts. In the order of EventState.
EVENT_STATE = f"""
    CASE
    WHEN events.flaw IS NOT NULL THEN '{EventState.UNPARSEABLE}'
    WHEN {_has("deliveries", [DeliveryState.DEAD])} OR {_has("effects", [EffectState.DEAD])} THEN '{EventState.DEAD}'
    WHEN {_has("deliveries", [DeliveryState.FAILED])} THEN '{EventState.FAILED}'
    WHEN {_has("deliveries", WAITING_DELIVERIES)} OR {_has("effects", WAITING_EFFECTS)} THEN '{EventState.PENDING}'
    WHEN {_IS_OWED} THEN '{EventState.DONE}'
    ELSE '{EventState.UNHANDLED}'
    END
"""


def _of(table: str, condition: str) -> str:
    return f"SELECT event_id FROM {table} WHERE {condition}"


# Where the events of a state are among: found by the partial indexes, however long the history has grown.
FEW = {
    EventState.DEAD: f"{_of('deliveries', DEAD)} UNION ALL {_of('effects', DEAD)}",
    EventState.FAILED: _of("deliveries", WAITING),
    EventState.PENDING: " UNION ALL ".join(
        (
            _of("deliveries", WAITING),
            _of("deliveries", QUEUED),
            _of("deliveries", RUNNING),
            _of("effects", DUE),
            _of("effects", SENDING),
        )
    ),
    EventState.UNPARSEABLE: f"SELECT flawed.id FROM events AS flawed WHERE {FLAWED}",
}


def page_of_events(db: Asked, wanted: Filter) -> Page:
    """Give a page of events with their deliveries, newest first; `wanted.limit` is how many."""
    if wanted.handler is not None and not is_known(db, wanted.handler):
        return NOTHING
    clauses = _conditions(wanted, one_of_many=_matches_many(db, wanted.external_id))
    if wanted.before is not None:
        clauses.append(below(NEWEST_FIRST, wanted.before))
    its, most = all_of(clauses), one_more(wanted.limit)
    text = f"SELECT {_SHOWN} FROM events WHERE {its.text} {down(NEWEST_FIRST)} {most.text}"
    found = rows(db, text, {**its.values, **most.values})
    shown, after = cut(found, wanted.limit, by=("received_at", "id"))
    return Page(_event_views(db, shown), after)


def list_events(db: Asked, wanted: Filter) -> list[View]:
    """List events with their deliveries, newest first."""
    return page_of_events(db, wanted).views


def position_of_event(db: Asked, event_id: int) -> Position | None:
    """Say where in the list an event is; None: there is no such event."""
    row = first(db, "SELECT received_at, id FROM events WHERE id = :id", {"id": event_id})
    return None if row is None else (row["received_at"], row["id"])


def _matches_many(db: Asked, prefix: str | None) -> bool:
    """Whether it takes longer to sort all events whose ids begin so than to go down the list until there are enough."""
    if prefix is None:
        return False
    its, most = begins("events.external_id", prefix), up_to(MANY)
    some = f"SELECT id FROM events WHERE {its.text} {most.text}"
    count: int = value(db, f"SELECT count(*) FROM ({some}) AS found", {**its.values, **most.values})
    return count == MANY


def _conditions(wanted: Filter, *, one_of_many: bool = False) -> list[Clause]:
    """Say which events match.

    Args:
        wanted: which.
        one_of_many: the ids of a good part of all events begin with `wanted.external_id`.

    """
    clauses = [*event_conditions(wanted, one_of_many=one_of_many), *_state_conditions(wanted)]
    if wanted.handler is not None:
        clauses.append(has_handler(wanted.handler))
    if (wanted.source, wanted.type, wanted.state, wanted.handler, wanted.external_id) == (None,) * 5:
        # Whoever asks for all events asks for what was sent. Our own are listed by their source, type or state.
        clauses.append(Clause("coalesce(events.source, '') <> :own", {"own": OWN}))
    return clauses


def _state_conditions(wanted: Filter) -> list[Clause]:
    if wanted.state is None:
        return []
    state = EventState(wanted.state)
    if state in FEW:
        return [is_in_state(state)]
    # In these words PostgreSQL goes down the list with them, where it would first read all deliveries for a CASE.
    if state == EventState.UNHANDLED:
        return [Clause(f"events.flaw IS NULL AND NOT {_IS_OWED}")]
    over = f"NOT {_has('deliveries', UNFINISHED)} AND NOT {_has('effects', UNSENT)}"
    return [Clause(f"events.flaw IS NULL AND {_IS_OWED} AND {over}")]


def is_in_state(state: EventState) -> Clause:
    """Say that an event is in a state that few are in."""
    return Clause(f"events.id IN ({FEW[state]}) AND ({EVENT_STATE}) = '{state}'")


def _event_views(db: Asked, found: Collection[Row]) -> list[View]:
    ids = [row["id"] for row in found]
    owed, states = deliveries_of(db, ids), _states_of(db, ids)
    return [event_view(row, owed[row["id"]], state=states[row["id"]]) for row in found]


def _states_of(db: Asked, event_ids: Collection[int]) -> dict[int, str]:
    """Say what state these events are in. Asked of a list that is still to be cut, PostgreSQL would read everything."""
    its = among(db, "events.id", event_ids)
    return {row[0]: row[1] for row in each(db, f"SELECT id, {EVENT_STATE} FROM events WHERE {its.text}", its.values)}


def list_events_among(db: Asked, ids: Collection[int], wanted: Filter) -> list[View]:
    """List those of these events that match, oldest first."""
    its = all_of([*_conditions(wanted), among(db, "events.id", ids)])
    return _event_views(db, rows(db, f"SELECT {_SHOWN} FROM events WHERE {its.text} ORDER BY id", its.values))


def last_event_id(db: Asked, *, before: float | None = None) -> int:
    """Give the id of the newest event, or of the newest that came in before a time (Unix seconds); or 0."""
    if before is None:
        newest: int | None = value(db, "SELECT max(id) FROM events", {})
    else:
        at = "SELECT max(received_at) FROM events WHERE received_at < :before"
        newest = value(db, f"SELECT max(id) FROM events WHERE received_at = ({at})", {"before": before})
    return newest or 0


def event_ids_after(db: Asked, event_id: int, *, limit: int) -> list[int]:
    """Give the ids of the events after this one, oldest first."""
    most = up_to(limit)
    text = f"SELECT id FROM events WHERE id > :after ORDER BY id {most.text}"
    return column(db, text, {"after": event_id, **most.values})
