"""Replays: stored history that is run again. A replay is a row with its items, so it can stop anywhere and go on.

What it runs is decided once, when it is made: an event that comes in later is no part of it. An item whose delivery is
not in one of the chosen states any more, when its turn comes, is left alone.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, TextClause, bindparam, func, insert, select, update

from ledger.again import REPLAYABLE, restart, with_payload
from ledger.event import DeliveryState, Trigger
from ledger.matching import event_conditions
from ledger.store import Transaction, insert_or_ignore
from ledger.tables import DEAD, WAITING, deliveries, effects, events, replay_items, replays
from ledger.views import Filter, in_parts
from ledger.views.replays import LEFT_ALONE, MAX_ID, STARTED

MAX_ITEMS = 100_000
# Of one replay: they are written in one transaction, and a person should look before more is done.

NARROW = {DeliveryState.DEAD: DEAD, DeliveryState.FAILED: WAITING}
# What few deliveries are in is found by a partial index, however long the history has grown.


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHandler:
    """A handler that may have no delivery yet for events that it wants."""

    name: str
    source: str
    queue: str
    wants: Callable[[str, str], bool]  # of a source and a type


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One delivery to run again, or to run for the first time where it has no id yet."""

    event_id: int
    handler: str
    queue: str
    delivery_id: int | None


@dataclass(slots=True, kw_only=True)
class Found:
    """What a replay would run, and what it would leave alone."""

    items: list[Item] = field(default_factory=list)
    waiting: int = 0  # deliveries that wait or run already
    pruned: int = 0  # events without payload
    more: bool = False  # there is more than the limit

    @property
    def event_ids(self) -> list[int]:
        """The events, each once, in their order."""
        return list(dict.fromkeys(item.event_id for item in self.items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of a replay did."""

    started: list[int]  # ids of deliveries
    left_alone: int
    cursor: int
    items: int

    @property
    def is_last(self) -> bool:
        """Whether nothing is left."""
        return self.cursor >= self.items


def find(
    db: Connection,
    wanted: Filter,
    *,
    event_ids: Collection[int] | None = None,
    handler: NewHandler | None = None,
) -> Found:
    """Find what to replay, oldest first. `wanted.state` and `wanted.handler` are the delivery's.

    Args:
        db: where.
        wanted: which; its limit counts events.
        event_ids: only these.
        handler: run this one alone, also for events that have no delivery for it.

    """
    found = Found()
    limit = MAX_ITEMS if wanted.limit is None else wanted.limit
    grouped = groupby(_rows(db, wanted, event_ids, handler), key=attrgetter("event_id"))
    for events_found, (_, rows) in enumerate(grouped):
        if events_found >= limit or len(found.items) >= MAX_ITEMS:
            found.more = True
            break
        _take(found, list(rows), wanted, handler)
    return found


def _take(found: Found, rows: Sequence[Row[Any]], wanted: Filter, handler: NewHandler | None) -> None:
    if rows[0].payload_pruned_at is not None:
        found.pruned += 1
        return
    for row in rows:
        if row.delivery_id is None:
            if handler is not None and wanted.state is None and handler.wants(row.source, row.type):
                item = Item(event_id=row.event_id, handler=handler.name, queue=handler.queue, delivery_id=None)
                found.items.append(item)
        elif row.state in REPLAYABLE:
            item = Item(event_id=row.event_id, handler=row.handler, queue=row.queue, delivery_id=row.delivery_id)
            found.items.append(item)
        else:
            found.waiting += 1


def _rows(
    db: Connection, wanted: Filter, event_ids: Collection[int] | None, handler: NewHandler | None
) -> Iterator[Any]:
    if event_ids is None:
        yield from _some_rows(db, wanted, [], handler)
        return
    for some in in_parts(event_ids):
        yield from _some_rows(db, wanted, [events.c.id.in_(some)], handler)


def _some_rows(
    db: Connection, wanted: Filter, conditions: Sequence[ColumnElement[bool]], handler: NewHandler | None
) -> Iterator[Any]:
    of_event = Filter(source=wanted.source, type=wanted.type, since=wanted.since, until=wanted.until)
    joined = deliveries.c.event_id == events.c.id
    conditions = [*conditions, *event_conditions(of_event)]
    if handler is not None:
        joined &= deliveries.c.handler == handler.name
        conditions += [events.c.source == handler.source, events.c.flaw.is_(None)]
    if wanted.state is not None:
        conditions.append(deliveries.c.state == wanted.state)
    narrow = NARROW.get(DeliveryState(wanted.state)) if wanted.state is not None else None
    if narrow is not None:
        conditions.append(deliveries.c.id.in_(_ids_where(narrow)))
    statement = (
        select(
            events.c.id.label("event_id"),
            events.c.source,
            events.c.type,
            events.c.payload_pruned_at,
            deliveries.c.id.label("delivery_id"),
            deliveries.c.handler,
            deliveries.c.queue,
            deliveries.c.state,
        )
        .select_from(events.join(deliveries, joined, isouter=handler is not None))
        .where(*conditions)
        .order_by(events.c.received_at, events.c.id, deliveries.c.id)
    )
    yield from db.execute(statement)


def _ids_where(narrow: TextClause) -> Select[Any]:
    its = deliveries.alias("its")  # of its own, so that the condition names no other table's columns
    return select(its.c.id).where(narrow)


def effects_recorded(db: Connection, items: Sequence[Item]) -> int:
    """Count the effects that these deliveries have recorded: they are not done again.

    Neither is what another event's delivery has told under the same key, which only a rehearsal finds out.
    """
    ids = [item.delivery_id for item in items if item.delivery_id is not None]
    count = select(func.count()).select_from(effects)
    return sum(db.execute(count.where(effects.c.delivery_id.in_(some))).scalar_one() for some in in_parts(ids))


def create(
    db: Connection,
    items: Sequence[Item],
    *,
    who: str,
    reason: str | None,
    chosen: Mapping[str, Any],
    state: str | None,
    again: bool,
    now: float,
) -> int:
    """Write a replay down, before anything of it is done. Give its id.

    Args:
        db: where.
        items: what to run, in this order.
        who: a person's name.
        reason: why.
        chosen: what was asked for, to be shown later.
        state: the only one that a delivery may be in when its turn comes; None: any in which it is over or failed.
        again: do effects again that are recorded already.
        now: Unix seconds.

    """
    row = {
        "created_at": now,
        "who": who,
        "reason": reason,
        "chosen": json.dumps(chosen),
        "states": json.dumps([state] if state else list(REPLAYABLE)),
        "again": again,
        "items": len(items),
        "cursor": 0,
        "finished_at": None if items else now,
    }
    replay_id: int = db.execute(insert(replays).values(row).returning(replays.c.id)).scalar_one()
    if items:
        rows = [
            {
                "replay_id": replay_id,
                "position": position,
                "event_id": item.event_id,
                "handler": item.handler,
                "queue": item.queue,
                "delivery_id": item.delivery_id,
            }
            for position, item in enumerate(items, start=1)
        ]
        db.execute(insert(replay_items), rows)
    return replay_id


def advance(db: Connection, replay_id: int, *, limit: int, now: float) -> Step:
    """Set the next items going, at most `limit`. Of several who do so at once, each takes others.

    Raises:
        LookupError: there is no such replay.

    """
    its = select(replays).where(replays.c.id == replay_id).with_for_update()
    replay = db.execute(its).first() if replay_id <= MAX_ID else None
    if replay is None:
        raise LookupError(replay_id)
    following = select(replay_items).where(
        replay_items.c.replay_id == replay_id, replay_items.c.position > replay.cursor
    )
    items = db.execute(following.order_by(replay_items.c.position).limit(limit)).all()
    held = set(with_payload(db, [item.event_id for item in items]))
    started = _start(db, replay, [item for item in items if item.event_id in held], now)
    _record(db, replay, items, started, now)
    return Step(
        started=sorted(started.values()),
        left_alone=len(items) - len(started),
        cursor=replay.cursor + len(items),
        items=replay.items,
    )


def _start(db: Connection, replay: Row[Any], items: Sequence[Row[Any]], now: float) -> dict[int, int]:
    """Give the deliveries that were set going, by position."""
    states = json.loads(replay.states)
    old = {item.delivery_id: item.position for item in items if item.delivery_id is not None}
    mine = deliveries.c.id.in_(old) & deliveries.c.state.in_(states)
    marks = {"replay_id": replay.id, "again": replay.again}
    started = {old[each]: each for each in restart(db, mine, Trigger.REPLAY, now, **marks)}
    for item in items:
        if item.delivery_id is None and (made := _make(db, item, now, marks)) is not None:
            started[item.position] = made
    return started


def _make(db: Connection, item: Row[Any], now: float, marks: Mapping[str, Any]) -> int | None:
    """Give an event a delivery for a handler that came later; None, if it has one by now."""
    row = {
        "event_id": item.event_id,
        "handler": item.handler,
        "queue": item.queue,
        "state": DeliveryState.PENDING,
        "due_at": now,
        "trigger": Trigger.REPLAY,
        **marks,
    }
    made: int | None = db.execute(insert_or_ignore(db, deliveries).values(row).returning(deliveries.c.id)).scalar()
    return made


def _record(
    db: Connection, replay: Row[Any], items: Sequence[Row[Any]], started: Mapping[int, int], now: float
) -> None:
    if items:
        db.execute(
            _OUTCOME,
            [
                {
                    "its_replay": replay.id,
                    "its_position": item.position,
                    "its_outcome": STARTED if item.position in started else LEFT_ALONE,
                    "its_delivery": started.get(item.position, item.delivery_id),
                }
                for item in items
            ],
        )
    cursor = replay.cursor + len(items)
    values = {"cursor": cursor, "finished_at": now if cursor >= replay.items else None}
    if replay.finished_at is None:
        db.execute(update(replays).where(replays.c.id == replay.id).values(values))


_OUTCOME = (
    update(replay_items)
    .where(replay_items.c.replay_id == bindparam("its_replay"), replay_items.c.position == bindparam("its_position"))
    .values(outcome=bindparam("its_outcome"), delivery_id=bindparam("its_delivery"))
)


def replay_event(db: Transaction, event_id: int, *, who: str, reason: str, now: float) -> int | None:
    """Run one event's handlers again, from within a handler. Give the replay's id; None: there is nothing to run."""
    connection = cast("Connection", db)  # nothing here does more than execute
    items = find(connection, Filter(), event_ids=[event_id]).items
    if not items or not with_payload(connection, [event_id]):
        return None
    chosen = {"events": [event_id]}
    replay_id = create(connection, items, who=who, reason=reason, chosen=chosen, state=None, again=False, now=now)
    advance(connection, replay_id, limit=MAX_ITEMS, now=now)
    return replay_id
