"""The list of deliveries, newest events first; and how many there are, of which handlers."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, select

from ledger.event import DeliveryState
from ledger.shown import View
from ledger.tables import DEAD, QUEUED, RUNNING, WAITING, deliveries, dismissals, effects, events
from ledger.views.filter import Filter, Position, below, event_conditions, in_parts, is_about_events, is_known
from ledger.views.view import NOTHING, Page, delivery_view, event_of

BY_EVENT = (events.c.received_at, events.c.id, deliveries.c.id)
BY_DELIVERY = (deliveries.c.event_id, deliveries.c.id)
# Two ways to go down the list. Both have an index that can answer most of a filter by itself.

_its = deliveries.alias("its")  # of its own, so that the conditions below name no other table's columns

FEW = {
    DeliveryState.PENDING: select(_its.c.id).where(WAITING),
    DeliveryState.FAILED: select(_its.c.id).where(WAITING),
    DeliveryState.QUEUED: select(_its.c.id).where(QUEUED),
    DeliveryState.RUNNING: select(_its.c.id).where(RUNNING),
    DeliveryState.DEAD: select(_its.c.id).where(DEAD),
    DeliveryState.DISMISSED: select(dismissals.c.delivery_id),
}
# Where the deliveries of a state are among, if they are few: found at once, however long the history has grown.


def page_of_deliveries(db: Connection, wanted: Filter) -> Page:
    """Give a page of deliveries with the event that each is for, newest events first; `wanted.limit` is how many."""
    if wanted.handler is not None and not is_known(db, wanted.handler):
        return NOTHING
    asked = replace(wanted, limit=None if wanted.limit is None else wanted.limit + 1)
    rows = db.execute(newest_first(asked)).all()
    shown = rows[: wanted.limit]
    after = (shown[-1].received_at, shown[-1].event_id, shown[-1].id) if len(rows) > len(shown) else None
    return Page([_view(row) for row in shown], after)


def list_deliveries(db: Connection, wanted: Filter) -> list[View]:
    """List deliveries with the event that each is for, newest events first."""
    return page_of_deliveries(db, wanted).views


def position_of_delivery(db: Connection, delivery_id: int) -> Position | None:
    """Say where in the list a delivery is; None: there is no such delivery."""
    row = db.execute(
        select(events.c.received_at, events.c.id, deliveries.c.id.label("delivery_id"))
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(deliveries.c.id == delivery_id)
    ).first()
    return None if row is None else (row.received_at, row.id, row.delivery_id)


def newest_first(wanted: Filter) -> Select[Any]:
    """Select the deliveries that match, with what is shown of their events."""
    few = FEW.get(DeliveryState(wanted.state)) if wanted.state is not None else None
    columns: Sequence[ColumnElement[Any]] = BY_EVENT if few is not None or is_about_events(wanted) else BY_DELIVERY
    its_event = events.c.id == deliveries.c.event_id
    if few is None and columns is BY_EVENT:
        # SQLite finds no row by a sum, so it goes down the events, and not by all deliveries to look up their events.
        its_event = events.c.id + 0 == deliveries.c.event_id
    conditions = [*event_conditions(wanted), *_own_conditions(wanted)]
    if few is not None:
        conditions.append(deliveries.c.id.in_(few))
    if wanted.before is not None:
        conditions.append(below(columns, wanted.before[-len(columns) :]))
    return (
        select(deliveries, events.c.source, events.c.external_id, events.c.type, events.c.received_at)
        .select_from(deliveries.join(events, its_event))
        .where(*conditions)
        .order_by(*(column.desc() for column in columns))
        .limit(wanted.limit)
    )


def _own_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(deliveries.c.state == wanted.state)
    if wanted.handler is not None:
        conditions.append(deliveries.c.handler == wanted.handler)
    return conditions


def _view(row: Row[Any]) -> View:
    return delivery_view(row) | event_of(row)


def missing_deliveries(db: Connection, ids: Collection[int]) -> list[int]:
    """Say which of these deliveries do not exist."""
    found: set[int] = set()
    for some in in_parts(ids):
        found.update(db.execute(select(deliveries.c.id).where(deliveries.c.id.in_(some))).scalars())
    return sorted(set(ids) - found)


def delivery_ids_of(db: Connection, event_ids: Collection[int]) -> set[int]:
    """Give the ids of these events' deliveries."""
    found: set[int] = set()
    for some in in_parts(event_ids):
        found.update(db.execute(select(deliveries.c.id).where(deliveries.c.event_id.in_(some))).scalars())
    return found


def known_handlers(db: Connection) -> list[str]:
    """Name the handlers that ever had a delivery."""
    # Sorted here: a database may sort words by the rules of some language, which is another one in the next database.
    return sorted(db.execute(select(deliveries.c.handler).distinct()).scalars())


def count_deliveries(db: Connection) -> dict[str, int]:
    """Count deliveries by state. Those that are done are what is left of all, which are counted without being read."""
    counts: dict[str, int] = {}
    for condition in (WAITING, QUEUED, RUNNING, DEAD):
        rows = db.execute(select(deliveries.c.state, func.count()).where(condition).group_by(deliveries.c.state))
        counts |= dict(rows.all())
    dismissed = deliveries.c.id.in_(FEW[DeliveryState.DISMISSED])
    counts[DeliveryState.DISMISSED] = _number(db, dismissed, deliveries.c.state == DeliveryState.DISMISSED)
    counts[DeliveryState.DONE] = _number(db) - sum(counts.values())
    return {str(state): count for state, count in sorted(counts.items()) if count}


def _number(db: Connection, *conditions: ColumnElement[bool]) -> int:
    return db.execute(select(func.count()).select_from(deliveries).where(*conditions)).scalar_one()


def count_effects(db: Connection) -> dict[str, int]:
    """Count effects by state."""
    return _count(db, effects)


def _count(db: Connection, table: Table) -> dict[str, int]:
    statement = select(table.c.state, func.count()).group_by(table.c.state)
    counts: dict[str, int] = dict(sorted(map(tuple, db.execute(statement))))
    return counts
