"""The list of events, newest first, and those that came in since somebody looked."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    TextClause,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from ledger import own
from ledger.event import DeliveryState, EffectState, EventState
from ledger.shown import View
from ledger.tables import DEAD, DUE, FLAWED, QUEUED, RUNNING, SENDING, WAITING, deliveries, effects, events
from ledger.views.filter import (
    Filter,
    Position,
    begins,
    below,
    event_conditions,
    has_handler,
    in_parts,
    is_known,
)
from ledger.views.view import NOTHING, Page, delivery_view, event_view

WAITING_DELIVERIES = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.RUNNING)
WAITING_EFFECTS = (EffectState.PLANNED, EffectState.SENDING, EffectState.AMBIGUOUS)

NEWEST_FIRST = (events.c.received_at, events.c.id)
# An index has them in this order, with what most filters are about: even a search in vain reads nothing else.

MANY = 20_000

SHOWN = [column for column in events.c if column.name not in ("body", "headers")]


def _has(table: Table, states: Collection[str]) -> ColumnElement[bool]:
    return exists().where(table.c.event_id == events.c.id, table.c.state.in_(states))


_IS_OWED = exists().where(deliveries.c.event_id == events.c.id)

UNFINISHED = (DeliveryState.DEAD, DeliveryState.FAILED, *WAITING_DELIVERIES)
UNSENT = (EffectState.DEAD, *WAITING_EFFECTS)

# The worst counts. In the order of EventState.
EVENT_STATE = case(
    (events.c.flaw.is_not(None), literal(EventState.UNPARSEABLE.value)),
    (
        or_(_has(deliveries, [DeliveryState.DEAD]), _has(effects, [EffectState.DEAD])),
        literal(EventState.DEAD.value),
    ),
    (_has(deliveries, [DeliveryState.FAILED]), literal(EventState.FAILED.value)),
    (
        or_(_has(deliveries, WAITING_DELIVERIES), _has(effects, WAITING_EFFECTS)),
        literal(EventState.PENDING.value),
    ),
    (_IS_OWED, literal(EventState.DONE.value)),
    else_=literal(EventState.UNHANDLED.value),
).label("state")


def _of(table: Table, where: TextClause) -> Select[Any]:
    return select(table.c.event_id).where(where)


_flawed = events.alias("flawed")  # of its own, so that the condition names no other table's column

# Where the events of a state are among: found by the partial indexes, however long the history has grown.
FEW = {
    EventState.DEAD: union_all(_of(deliveries, DEAD), _of(effects, DEAD)),
    EventState.FAILED: _of(deliveries, WAITING),
    EventState.PENDING: union_all(
        _of(deliveries, WAITING),
        _of(deliveries, QUEUED),
        _of(deliveries, RUNNING),
        _of(effects, DUE),
        _of(effects, SENDING),
    ),
    EventState.UNPARSEABLE: select(_flawed.c.id).where(FLAWED),
}


def page_of_events(db: Connection, wanted: Filter) -> Page:
    """Give a page of events with their deliveries, newest first; `wanted.limit` is how many."""
    if wanted.handler is not None and not is_known(db, wanted.handler):
        return NOTHING
    asked = replace(wanted, limit=None if wanted.limit is None else wanted.limit + 1)
    rows = db.execute(newest_first(asked, one_of_many=_matches_many(db, wanted.external_id))).all()
    shown = rows[: wanted.limit]
    after = (shown[-1].received_at, shown[-1].id) if len(rows) > len(shown) else None
    return Page(_event_views(db, shown), after)


def list_events(db: Connection, wanted: Filter) -> list[View]:
    """List events with their deliveries, newest first."""
    return page_of_events(db, wanted).views


def position_of_event(db: Connection, event_id: int) -> Position | None:
    """Say where in the list an event is; None: there is no such event."""
    row = db.execute(select(events.c.received_at, events.c.id).where(events.c.id == event_id)).first()
    return None if row is None else (row.received_at, row.id)


def _matches_many(db: Connection, prefix: str | None) -> bool:
    """Whether it takes longer to sort all events whose ids begin so than to go down the list until there are enough."""
    if prefix is None:
        return False
    some = select(events.c.id).where(begins(events.c.external_id, prefix)).limit(MANY).subquery()
    return db.execute(select(func.count()).select_from(some)).scalar_one() == MANY


def newest_first(wanted: Filter, *, one_of_many: bool = False) -> Select[Any]:
    """Select the events that match.

    Args:
        wanted: which.
        one_of_many: the ids of a good part of all events begin with `wanted.external_id`.

    """
    statement = _list(wanted, one_of_many=one_of_many).order_by(*(column.desc() for column in NEWEST_FIRST))
    return statement if wanted.before is None else statement.where(below(NEWEST_FIRST, wanted.before))


def _list(wanted: Filter, *, one_of_many: bool = False) -> Select[Any]:
    conditions = [*event_conditions(wanted, one_of_many=one_of_many), *_state_conditions(wanted)]
    if wanted.handler is not None:
        conditions.append(has_handler(wanted.handler))
    if (wanted.source, wanted.type, wanted.state, wanted.handler, wanted.external_id) == (None,) * 5:
        # Whoever asks for all events asks for what was sent. Our own are listed by their source, type or state.
        conditions.append(func.coalesce(events.c.source, "") != own.SOURCE)
    return select(*SHOWN).where(*conditions).limit(wanted.limit)


def _state_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    if wanted.state is None:
        return []
    state = EventState(wanted.state)
    if (few := FEW.get(state)) is not None:
        return [events.c.id.in_(few), EVENT_STATE.element == state]
    # In these words PostgreSQL goes down the list with them, where it would first read all deliveries for a CASE.
    if state == EventState.UNHANDLED:
        return [events.c.flaw.is_(None), ~_IS_OWED]
    return [events.c.flaw.is_(None), _IS_OWED, ~_has(deliveries, UNFINISHED), ~_has(effects, UNSENT)]


def _event_views(db: Connection, rows: Sequence[Row[Any]]) -> list[View]:
    ids = [row.id for row in rows]
    owed, states = deliveries_of(db, ids), _states_of(db, ids)
    return [event_view(row, owed[row.id], state=states[row.id]) for row in rows]


def _states_of(db: Connection, event_ids: Collection[int]) -> dict[int, str]:
    """Say what state these events are in. Asked of a list that is still to be cut, PostgreSQL would read everything."""
    states: dict[int, str] = {}
    for some in in_parts(event_ids):
        states.update(db.execute(select(events.c.id, EVENT_STATE).where(events.c.id.in_(some))).all())
    return states


def deliveries_of(db: Connection, event_ids: Collection[int]) -> dict[int, list[View]]:
    """Show the deliveries of these events, by event."""
    by_event: dict[int, list[View]] = defaultdict(list)
    for some in in_parts(event_ids):
        statement = select(deliveries).where(deliveries.c.event_id.in_(some)).order_by(deliveries.c.id)
        for row in db.execute(statement).all():
            by_event[row.event_id].append(delivery_view(row))
    return by_event


def list_events_among(db: Connection, ids: Collection[int], wanted: Filter) -> list[View]:
    """List those of these events that match, oldest first."""
    found: list[View] = []
    for some in in_parts(ids):
        rows = db.execute(_list(wanted).where(events.c.id.in_(some)).order_by(events.c.id)).all()
        found += _event_views(db, rows)
    return found


def last_event_id(db: Connection, *, before: float | None = None) -> int:
    """Give the id of the newest event, or of the newest that came in before a time (Unix seconds); or 0."""
    statement = select(events.c.id).order_by(events.c.id.desc()).limit(1)
    if before is not None:
        newest = select(func.max(events.c.received_at)).where(events.c.received_at < before).scalar_subquery()
        statement = statement.where(events.c.received_at == newest)
    return db.execute(statement).scalar() or 0


def event_ids_after(db: Connection, event_id: int, *, limit: int) -> list[int]:
    """Give the ids of the events after this one, oldest first."""
    statement = select(events.c.id).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
    return list(db.execute(statement).scalars())
