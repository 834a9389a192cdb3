"""Look at the ledger: what the CLI and `/hookline` show. Reads only."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from ledger.event import DeliveryState, EffectState, EventState
from ledger.tables import (
    DEAD,
    DUE,
    QUEUED,
    RUNNING,
    SENDING,
    WAITING,
    attempts,
    deliveries,
    effects,
    events,
    requests,
)

WAITING_DELIVERIES = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.RUNNING)
WAITING_EFFECTS = (EffectState.PLANNED, EffectState.SENDING, EffectState.AMBIGUOUS)

MAX_PARAMETERS = 10_000
# SQLite takes 32,766 in one statement, PostgreSQL 65,535.

MIN_PREFIX_CHARS = 5
MAX_NAMED = 5
LAST_CHARACTER = chr(0x10FFFF)
PREFIX_AMONG = 100_000
# In PostgreSQL the index of external ids sorts by the rules of some language, and cannot find how one begins.

View = dict[str, Any]  # one JSON object


class SeveralEvents(LookupError):
    """Several events' external ids begin like that."""

    def __init__(self, prefix: str, some: Sequence[str]) -> None:
        super().__init__(f"{prefix} is how the ids of several events begin: {', '.join(some)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to list. Unset fields do not filter; `type` may contain `*`."""

    source: str | None = None
    type: str | None = None
    state: str | None = None
    handler: str | None = None
    since: float | None = None  # Unix seconds, inclusive
    until: float | None = None  # Unix seconds, exclusive
    limit: int | None = None


def in_parts(ids: Collection[int]) -> Iterator[list[int]]:
    """Split ids, however many, into lists that a statement can take as parameters."""
    each_once = sorted(set(ids))
    for start in range(0, len(each_once), MAX_PARAMETERS):
        yield each_once[start : start + MAX_PARAMETERS]


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


# Where the events of a state are among: found by the partial indexes, however long the history has grown.
AMONG = {
    EventState.DEAD: ((deliveries, DEAD), (effects, DEAD)),
    EventState.FAILED: ((deliveries, WAITING),),
    EventState.PENDING: (
        (deliveries, WAITING),
        (deliveries, QUEUED),
        (deliveries, RUNNING),
        (effects, DUE),
        (effects, SENDING),
    ),
}


def list_events(db: Connection, wanted: Filter) -> list[View]:
    """List events with their deliveries, newest first."""
    return _event_views(db, db.execute(newest_first(wanted)).all())


def newest_first(wanted: Filter) -> Select[Any]:
    """Select the events that match."""
    if wanted.state == EventState.UNHANDLED:  # no index knows these: at least only those of the time that was asked for
        return _list(wanted).order_by(events.c.received_at.desc(), events.c.id.desc())
    return _list(wanted).order_by(events.c.id.desc())


def _list(wanted: Filter) -> Select[Any]:
    columns = [column for column in events.c if column.name not in ("body", "headers")]
    return select(*columns, EVENT_STATE).where(*event_conditions(wanted)).limit(wanted.limit)


def _event_views(db: Connection, rows: Sequence[Row[Any]]) -> list[View]:
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


def list_events_among(db: Connection, ids: Sequence[int], wanted: Filter) -> list[View]:
    """List those of these events that match, oldest first."""
    found: list[View] = []
    for some in in_parts(ids):
        rows = db.execute(_list(wanted).where(events.c.id.in_(some)).order_by(events.c.id)).all()
        found += _event_views(db, rows)
    return found


def find_event(db: Connection, address: str) -> int | None:
    """Find an event by our id, by its external id (the newest, if a provider used one twice) or by how that begins.

    Raises:
        SeveralEvents: several external ids begin like this.

    """
    if (event_id := read_id(address)) is not None:
        found: int | None = db.execute(select(events.c.id).where(events.c.id == event_id)).scalar()
        if found is not None:
            return found
    newest = select(func.max(events.c.id)).where(events.c.external_id == address)
    newest_id: int | None = db.execute(newest).scalar()
    return newest_id if newest_id is not None else _find_by_prefix(db, address)


def _find_by_prefix(db: Connection, prefix: str) -> int | None:
    if len(prefix) < MIN_PREFIX_CHARS:
        return None
    begins = func.substr(events.c.external_id, 1, len(prefix)) == prefix
    found = select(events.c.external_id, func.max(events.c.id)).where(begins, _near(db, prefix))
    rows = db.execute(found.group_by(events.c.external_id).order_by(events.c.external_id).limit(MAX_NAMED)).all()
    if len(rows) > 1:
        raise SeveralEvents(prefix, [row[0] for row in rows])
    return rows[0][1] if rows else None


def _near(db: Connection, prefix: str) -> ColumnElement[bool]:
    """Bound the search: by the index where it sorts as code points do, else to the newest events."""
    if db.dialect.name == "sqlite":
        return events.c.external_id.between(prefix, prefix + LAST_CHARACTER)
    return events.c.id > last_event_id(db) - PREFIX_AMONG


def read_id(address: str) -> int | None:
    """Read one of our own ids; None if it is something else, or more than a database can count."""
    plain = address.isascii() and address.isdigit() and len(address) < len(str(2**63))
    return int(address) if plain else None


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


def last_event_id(db: Connection, *, before: float | None = None) -> int:
    """Give the id of the newest event, or of the newest that came in before a time (Unix seconds); or 0."""
    statement = select(events.c.id).order_by(events.c.id.desc()).limit(1)
    if before is not None:
        statement = statement.where(events.c.received_at < before)
    return db.execute(statement).scalar() or 0


def event_ids_after(db: Connection, event_id: int, *, limit: int) -> list[int]:
    """Give the ids of the events after this one, oldest first."""
    statement = select(events.c.id).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
    return list(db.execute(statement).scalars())


def known_handlers(db: Connection) -> list[str]:
    """Name the handlers that ever had a delivery."""
    # Sorted here: a database may sort words by the rules of some language, which is another one in the next database.
    return sorted(db.execute(select(deliveries.c.handler).distinct()).scalars())


def list_deliveries(db: Connection, wanted: Filter) -> list[View]:
    """List deliveries, newest first, with the event that each is for."""
    conditions = event_conditions(
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
    statement = select(table.c.state, func.count()).group_by(table.c.state)
    counts: dict[str, int] = dict(sorted(map(tuple, db.execute(statement))))
    return counts


def event_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Say what an event must be like; `state` is its own."""
    conditions = _time_conditions(events, wanted)
    if wanted.source is not None:
        conditions.append(events.c.source == wanted.source)
    if wanted.type is not None:
        conditions.append(_like(wanted.type))
    if wanted.state is not None:
        conditions.append(EVENT_STATE.element == wanted.state)
        if wanted.state == EventState.UNPARSEABLE:
            conditions.append(events.c.flaw.is_not(None))  # as the index says it
        if among := AMONG.get(EventState(wanted.state)):
            conditions.append(events.c.id.in_(union_all(*[select(t.c.event_id).where(where) for t, where in among])))
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
    for some in in_parts(event_ids):
        statement = select(deliveries).where(deliveries.c.event_id.in_(some)).order_by(deliveries.c.id)
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
        "payload_pruned_at": rfc3339(row.payload_pruned_at),
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
