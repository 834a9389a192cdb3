"""Events of Hookline's own: what no provider sent, and somebody has to be told all the same.

An effect belongs to a delivery of an event; that is how it is found, retried, shown and pruned. So a complaint of
Hookline's about itself, or a digest, is an event as well, of the source `hookline`. Whoever notices it stores it and
handles it at once, in one transaction: it may be the queues that it complains about, so it must not wait in one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from ledger.event import JSON, OWN, DeliveryState, Event, Trigger
from ledger.store import insert_or_ignore
from ledger.tables import deliveries, events

SOURCE = OWN


@dataclass(frozen=True, slots=True)
class Own:
    """An event of our own, and the delivery that its effects belong to.

    Attributes:
        is_new: nobody has stored it before. Of many who store it at once, one is told so.

    """

    event: Event
    delivery_id: int
    is_new: bool


def enter(
    db: Connection, *, key: str, type_: str, facts: Mapping[str, Any], handler: str, queue: str, now: float
) -> Own:
    """Store an event of our own under its key, once for ever, as handled by this handler.

    Args:
        db: a write transaction, in which the handler is then run.
        key: what it is about, `digest/2026-11-23/UTC`: its external id as well.
        type_: `hookline.alarm`, `hookline.digest`.
        facts: its payload.
        handler: the name of the handler that replays of it go to.
        queue: and that handler's queue.
        now: Unix seconds.

    """
    body = json.dumps(facts, sort_keys=True).encode()
    row = {
        "source": SOURCE,
        "dedupe_key": key,
        "external_id": key,
        "type": type_,
        "received_at": now,
        "content_type": JSON,
        "headers": "{}",
        "body": body,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "secret_position": 0,
    }
    new_id: int | None = db.execute(insert_or_ignore(db, events, events.c.id), row).scalar()
    event_id = new_id if new_id is not None else _id_of(db, key)
    # Made of what was said, not of what is stored: the payload of one that goes on for months is pruned.
    event = Event(
        id=event_id,
        source=SOURCE,
        external_id=key,
        type=type_,
        account=None,
        livemode=None,
        received_at=now,
        content_type=JSON,
        body=body,
    )
    return Own(event, _delivery_of(db, event_id, handler, queue, now), new_id is not None)


def _id_of(db: Connection, key: str) -> int:
    mine = select(events.c.id).where(events.c.source == SOURCE, events.c.dedupe_key == key)
    found: int = db.execute(mine).scalar_one()
    return found


def _delivery_of(db: Connection, event_id: int, handler: str, queue: str, now: float) -> int:
    mine = select(deliveries.c.id).where(deliveries.c.event_id == event_id, deliveries.c.handler == handler)
    known: int | None = db.execute(mine).scalar()
    if known is not None:
        return known
    row = {
        "event_id": event_id,
        "handler": handler,
        "queue": queue,
        "state": DeliveryState.DONE,
        "due_at": now,
        "trigger": Trigger.INITIAL,
        "attempts": 1,
        "started_at": now,
        "finished_at": now,
    }
    fresh: int = db.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one()
    return fresh
