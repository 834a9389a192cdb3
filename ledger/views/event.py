"""One event, found by any of its names, and everything that is known of it."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, and_, func, select

from ledger.errors import SeveralEvents
from ledger.event import EffectState
from ledger.pieces import read_body, sizes_of
from ledger.shown import View, rfc3339
from ledger.tables import attempts, dismissals, effects, events
from ledger.views.events import EVENT_STATE, deliveries_of
from ledger.views.filter import in_parts
from ledger.views.view import event_view

MIN_PREFIX_CHARS = 5
# With less, a number that is no id of ours would be how some other provider's id begins.
MAX_NAMED = 5
LAST_CHARACTER = chr(0x10FFFF)


def get_event(db: Connection, event_id: int) -> View | None:
    """Give everything that is known of one event but its body."""
    row = db.execute(select(events, EVENT_STATE).where(events.c.id == event_id)).first()
    if row is None:
        return None
    owed = deliveries_of(db, [event_id])[event_id]
    for view in owed:
        view["history"] = _attempts_of(db, view["id"])
        view["dismissals"] = _dismissals_of(db, view["id"])
    return event_view(row, owed, state=row.state) | {
        "content_type": row.content_type,
        "headers": json.loads(row.headers),
        "body_size": len(row.body) or sizes_of(db, [event_id]).get(event_id, 0),
        "body_sha256": row.body_sha256,
        "secret_position": row.secret_position,
        "effects": _effects_of(db, event_id),
    }


def get_body(db: Connection, event_id: int) -> bytes | None:
    """Give the exact bytes that were signed."""
    body: bytes | None = db.execute(select(events.c.body).where(events.c.id == event_id)).scalar()
    return read_body(db, event_id) if body == b"" else body


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


def find_events(db: Connection, addresses: Collection[str]) -> dict[str, int | None]:
    """Find many events at once, each as `find_event` would; None: there is none. Raises as it does."""
    found: dict[str, int | None] = dict.fromkeys(addresses)
    numbers = {address: number for address in found if (number := read_id(address)) is not None}
    for some in in_parts(numbers.values()):
        there = set(db.execute(select(events.c.id).where(events.c.id.in_(some))).scalars())
        found.update((address, number) for address, number in numbers.items() if number in there)
    for whole in in_parts(_unfound(found)):
        newest = select(events.c.external_id, func.max(events.c.id)).where(events.c.external_id.in_(whole))
        found.update((name, event_id) for name, event_id in db.execute(newest.group_by(events.c.external_id)))
    return found | {address: _find_by_prefix(db, address) for address in _unfound(found)}


def _unfound(found: Mapping[str, int | None]) -> list[str]:
    return [address for address, event_id in found.items() if event_id is None]


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
    """Bound the search by the index that sorts as code points do."""
    external_id = events.c.external_id
    if db.dialect.name == "sqlite":
        return external_id.between(prefix, prefix + LAST_CHARACTER)
    # What text_pattern_ops compares with: character by character, whatever the language.
    return and_(external_id.op("~>=~")(prefix), external_id.op("~<~")(prefix + LAST_CHARACTER))


def read_id(address: str) -> int | None:
    """Read one of our own ids; None if it is something else, or more than a database can count."""
    plain = address.isascii() and address.isdigit() and len(address) < len(str(2**63))
    return int(address) if plain else None


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
            "held_until": rfc3339(row.held_until) if row.state == EffectState.PLANNED else None,
            "finished_at": rfc3339(row.finished_at),
            "last_error": row.last_error,
        }
        for row in db.execute(statement).all()
    ]


def _dismissals_of(db: Connection, delivery_id: int) -> list[View]:
    statement = select(dismissals).where(dismissals.c.delivery_id == delivery_id).order_by(dismissals.c.id)
    return [{"at": rfc3339(row.at), "who": row.who, "reason": row.reason} for row in db.execute(statement).all()]
