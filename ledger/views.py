"""Look at the ledger: what the CLI and `/hookline` show. Reads only."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, case, exists, func, literal, or_, select

from ledger.event import DeliveryState, EffectState, EventState
from ledger.tables import attempts, deliveries, effects, events, requests

WAITING_DELIVERIES = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.RUNNING)
WAITING_EFFECTS = (EffectState.PLANNED, EffectState.SENDING, EffectState.AMBIGUOUS)

View = dict[str, Any]  # one JSON object


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to list. Unset fields do not filter; `type` may contain `*`."""

    source: str | None = None
    type: str | None = None
    state: str | None = None
    handler: str | None = None
    since: float | None = None  # Unix seconds, inclusive
    until: float | None = None  # Unix seconds, exclusive
    after_id: int | None = None
    limit: int | None = None


def _has(table: Table, states: Collection[str]) -> ColumnElement[bool]:
    return exists().where(table.c.event_id == events.c.id, table.c.state.in_(states))


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
    (exists().where(deliveries.c.event_id == events.c.id), literal(EventState.DONE.value)),
    else_=literal(EventState.UNHANDLED.value),
).label("state")


def list_events(db: Connection, wanted: Filter, *, newest_first: bool = True) -> list[View]:
    """List events with their deliveries."""
    order = events.c.id.desc() if newest_first else events.c.id
    statement = (
        select(events, EVENT_STATE)
        .with_only_columns(*[column for column in events.c if column.name not in ("body", "headers")], EVENT_STATE)
        .where(*_event_conditions(wanted))
        .order_by(order)
        .limit(wanted.limit)
    )
    rows = db.execute(statement).all()
    owed = _deliveries_of(db, [row.id for row in rows])
    return [_event_view(row, owed[row.id]) for row in rows]


def get_event(db: Connection, event_id: int) -> View | None:
    """Give everything that is known of one event but its body."""
    row = db.execute(select(events, EVENT_STATE).where(events.c.id == event_id)).first()
    if row is None:
        return None
    view = _event_view(row, _deliveries_of(db, [event_id], detailed=True)[event_id])
    return view | {
        "content_type": row.content_type,
        "headers": json.loads(row.headers),
        "body_size": len(row.body),
        "body_sha256": row.body_sha256,
        "secret_position": row.secret_position,
        "effects": _effects_of(db, event_id),
    }


def get_body(db: Connection, event_id: int) -> bytes | None:
    """Give the exact bytes that were signed."""
    body: bytes | None = db.execute(select(events.c.body).where(events.c.id == event_id)).scalar()
    return body


def find_event(db: Connection, address: str) -> int | None:
    """Find an event by our id or by its external id (the newest, if a provider used one twice)."""
    if address.isascii() and address.isdigit() and len(address) < len(str(2**63)):
        found: int | None = db.execute(select(events.c.id).where(events.c.id == int(address))).scalar()
        if found is not None:
            return found
    newest = select(func.max(events.c.id)).where(events.c.external_id == address)
    newest_id: int | None = db.execute(newest).scalar()
    return newest_id


def missing_deliveries(db: Connection, ids: Collection[int]) -> list[int]:
    """Say which of these deliveries do not exist."""
    found = set(db.execute(select(deliveries.c.id).where(deliveries.c.id.in_(ids))).scalars().all())
    return sorted(set(ids) - found)


def last_event_id(db: Connection) -> int:
    """Give the id of the newest event, or 0."""
    return db.execute(select(func.max(events.c.id))).scalar() or 0


def list_deliveries(db: Connection, wanted: Filter) -> list[View]:
    """List deliveries, newest first, with the event that each is for."""
    conditions = _event_conditions(
        Filter(source=wanted.source, type=wanted.type, since=wanted.since, until=wanted.until)
    )
    if wanted.state is not None:
        conditions.append(deliveries.c.state == wanted.state)
    if wanted.handler is not None:
        conditions.append(deliveries.c.handler == wanted.handler)
    statement = (
        select(deliveries, events.c.source, events.c.external_id, events.c.type)
        .join(events, events.c.id == deliveries.c.event_id)
        .where(*conditions)
        .order_by(deliveries.c.id.desc())
        .limit(wanted.limit)
    )
    return [_delivery_view(row) | _event_of(row) for row in db.execute(statement).all()]


def list_requests(db: Connection, wanted: Filter) -> list[View]:
    """List rejected requests, newest first."""
    conditions = _time_conditions(requests, wanted)
    if wanted.source is not None:
        conditions.append(requests.c.source == wanted.source)
    statement = select(requests).where(*conditions).order_by(requests.c.id.desc()).limit(wanted.limit)
    return [
        {**row, "received_at": rfc3339(row["received_at"]), "headers": json.loads(row["headers"])}
        for row in db.execute(statement).mappings()
    ]


def count_deliveries(db: Connection) -> dict[str, int]:
    """Count deliveries by state."""
    return _count(db, deliveries)


def count_effects(db: Connection) -> dict[str, int]:
    """Count effects by state."""
    return _count(db, effects)


def _count(db: Connection, table: Table) -> dict[str, int]:
    statement = select(table.c.state, func.count()).group_by(table.c.state).order_by(table.c.state)
    counts: dict[str, int] = dict(db.execute(statement).all())
    return counts


def _event_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = _time_conditions(events, wanted)
    if wanted.source is not None:
        conditions.append(events.c.source == wanted.source)
    if wanted.type is not None:
        conditions.append(_like(wanted.type))
    if wanted.state is not None:
        conditions.append(EVENT_STATE.element == wanted.state)
    if wanted.after_id is not None:
        conditions.append(events.c.id > wanted.after_id)
    return conditions


def _time_conditions(table: Table, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(table.c.received_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.c.received_at < wanted.until)
    return conditions


def _like(pattern: str) -> ColumnElement[bool]:
    if "*" not in pattern:
        return events.c.type == pattern
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return events.c.type.like(escaped, escape="\\")


def _deliveries_of(db: Connection, event_ids: Sequence[int], *, detailed: bool = False) -> dict[int, list[View]]:
    by_event: dict[int, list[View]] = defaultdict(list)
    statement = select(deliveries).where(deliveries.c.event_id.in_(event_ids)).order_by(deliveries.c.id)
    for row in db.execute(statement).all():
        view = _delivery_view(row)
        if detailed:
            view["history"] = _attempts_of(db, row.id)
        by_event[row.event_id].append(view)
    return by_event


def _attempts_of(db: Connection, delivery_id: int) -> list[View]:
    statement = select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.id)
    return [
        {
            "number": row.number,
            "trigger": row.trigger,
            "outcome": row.outcome,
            "started_at": rfc3339(row.started_at),
            "finished_at": rfc3339(row.finished_at),
            "error": row.error,
        }
        for row in db.execute(statement).all()
    ]


def _effects_of(db: Connection, event_id: int) -> list[View]:
    statement = select(effects).where(effects.c.event_id == event_id).order_by(effects.c.id)
    return [
        {
            "id": row.id,
            "key": row.key,
            "state": row.state,
            "channel": row.channel,
            "text": json.loads(row.message)["text"],
            "attempts": row.attempts,
            "due_at": rfc3339(row.due_at),
            "finished_at": rfc3339(row.finished_at),
            "last_error": row.last_error,
        }
        for row in db.execute(statement).all()
    ]


def _event_view(row: Any, owed: Iterable[View]) -> View:  # noqa: ANN401  # a row of no fixed shape
    return {
        "id": row.id,
        "source": row.source,
        "external_id": row.external_id,
        "type": row.type,
        "state": row.state,
        "received_at": rfc3339(row.received_at),
        "account": row.account,
        "livemode": row.livemode,
        "flaw": row.flaw,
        "deliveries": list(owed),
    }


def _event_of(row: Row[Any]) -> View:
    return {"event": row.event_id, "source": row.source, "external_id": row.external_id, "type": row.type}


def _delivery_view(row: Row[Any]) -> View:
    return {
        "id": row.id,
        "handler": row.handler,
        "queue": row.queue,
        "state": row.state,
        "attempts": row.attempts,
        "crashes": row.crashes,
        "announcements": row.announcements,
        "due_at": rfc3339(row.due_at),
        "finished_at": rfc3339(row.finished_at),
        "last_error": row.last_error,
    }


def rfc3339(at: float | None) -> str | None:
    """Write a time (Unix seconds) as RFC 3339 in UTC, with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
