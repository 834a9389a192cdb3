"""Which deliveries a filter means, for `retry` and `dismiss`; and which events, to send them somewhere else."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Select, exists, func, select, union_all

from ledger import views
from ledger.event import DeliveryState
from ledger.matching import event_conditions
from ledger.own import SOURCE as OWN
from ledger.tables import DEAD, QUEUED, WAITING, deliveries, effects, events
from ledger.views import Filter, in_parts
from ledger.views.filter import is_known

MAX_SELECTED = 100_000
# A person should look before more is done.

NARROW = {
    DeliveryState.DEAD: DEAD,
    DeliveryState.FAILED: WAITING,
    DeliveryState.PENDING: WAITING,
    DeliveryState.QUEUED: QUEUED,
}
# What few deliveries are in is found by a partial index, however long the history has grown.


class NeverHandled(LookupError):
    """No delivery was ever for this handler: its name is wrong, or it is new."""

    def __init__(self, handler: str, known: Collection[str]) -> None:
        super().__init__(f"no delivery was ever for the handler {handler!r}; there is {', '.join(known) or 'none yet'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Deliveries that a filter means, oldest event first."""

    deliveries: list[int]
    event_ids: list[int]  # each once
    handlers: Mapping[str, int]  # how many deliveries of each
    effects: int  # how many dead effects go with them
    more: bool  # there is more than the limit


@dataclass(slots=True, kw_only=True)
class SelectedEvents:
    """Events that a filter means, oldest first."""

    ids: list[int] = field(default_factory=list)
    pruned: int = 0  # left out: they have no payload any more
    more: bool = False  # there is more than the limit


def select_deliveries(db: Connection, wanted: Filter) -> Selected:
    """Select deliveries by the filter; its `state` must be set, and is theirs; its limit counts them.

    With `dead` also those whose effects are dead.

    Raises:
        NeverHandled: the filter names a handler that never had a delivery.

    """
    if wanted.handler is not None and not is_known(db, wanted.handler):
        raise NeverHandled(wanted.handler, views.known_handlers(db))
    state = DeliveryState(str(wanted.state))
    limit = min(wanted.limit or MAX_SELECTED, MAX_SELECTED)
    conditions = event_conditions(_without_state(wanted))
    if wanted.handler is not None:
        conditions.append(deliveries.c.handler == wanted.handler)
    statement = (
        select(deliveries.c.id, deliveries.c.event_id, deliveries.c.handler)
        .join(events, events.c.id == deliveries.c.event_id)
        .where(*conditions, deliveries.c.id.in_(_in_state(state)))
        .order_by(events.c.received_at, events.c.id, deliveries.c.id)
        .limit(limit + 1)
    )
    rows = db.execute(statement).all()
    chosen = rows[:limit]
    ids = [row.id for row in chosen]
    return Selected(
        deliveries=ids,
        event_ids=list(dict.fromkeys(row.event_id for row in chosen)),
        handlers=dict(sorted(Counter(row.handler for row in chosen).items())),
        effects=_dead_effects(db, ids) if state == DeliveryState.DEAD else 0,
        more=len(rows) > limit,
    )


def select_events(db: Connection, wanted: Filter, *, event_ids: Collection[int] | None = None) -> SelectedEvents:
    """Select events that providers sent, by the filter, and of these only, if they are named.

    The filter's `state` and `handler` are a delivery's.
    """
    found = SelectedEvents()
    limit = min(wanted.limit or MAX_SELECTED, MAX_SELECTED)
    parts: list[list[ColumnElement[bool]]] = [[]]
    if event_ids is not None:
        parts = [[events.c.id.in_(some)] for some in in_parts(event_ids)]
    for part in parts:
        its = (*part, events.c.source != OWN, *event_conditions(_without_state(wanted)), *_delivered(wanted))
        statement = (
            select(events.c.id)
            .where(*its, events.c.payload_pruned_at.is_(None))
            .order_by(events.c.received_at, events.c.id)
            .limit(limit + 1 - len(found.ids))
        )
        found.ids += db.execute(statement).scalars()
        pruned = select(func.count()).select_from(events).where(*its, events.c.payload_pruned_at.is_not(None))
        found.pruned += db.execute(pruned).scalar_one()
    found.more = len(found.ids) > limit
    del found.ids[limit:]
    return found


def _without_state(wanted: Filter) -> Filter:
    return Filter(source=wanted.source, type=wanted.type, since=wanted.since, until=wanted.until)


def _delivered(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [deliveries.c.event_id == events.c.id]
    if wanted.handler is not None:
        conditions.append(deliveries.c.handler == wanted.handler)
    if wanted.state is not None:
        conditions.append(deliveries.c.state == wanted.state)
    return [exists().where(*conditions)] if len(conditions) > 1 else []


def _in_state(state: DeliveryState) -> Select[int]:
    its = deliveries.alias("its")  # of its own, so that the condition names no other table's columns
    narrow = [NARROW[state]] if state in NARROW else []
    mine = select(its.c.id).where(its.c.state == state, *narrow)
    if state != DeliveryState.DEAD:
        return mine
    both = union_all(mine, select(effects.c.delivery_id).where(DEAD)).subquery()
    return select(both.c[0])


def _dead_effects(db: Connection, ids: Collection[int]) -> int:
    count = select(func.count()).select_from(effects).where(DEAD)
    return sum(db.execute(count.where(effects.c.delivery_id.in_(some))).scalar_one() for some in in_parts(ids))
