"""Put a batch of new events, and one delivery for each handler that wants them, into the ledger."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam, select

from ledger.event import DeliveryState, NewDelivery, NewEvent, Receipt, Trigger
from ledger.overdue import FIRST_OVERDUE_S, HIGH_WATER, count_queued
from ledger.pieces import take_body
from ledger.prepared import as_list, prepare_with_lists
from ledger.rows import insert_rows
from ledger.tables import deliveries, events

ROOM_REFRESH_S = 1.0

QUEUED, PENDING, INITIAL = DeliveryState.QUEUED.value, DeliveryState.PENDING.value, Trigger.INITIAL.value
# As the driver takes them.

Key = tuple[str, str]
Doorbells = dict[str, list[int]]  # delivery ids by queue


@dataclass(frozen=True, slots=True)
class Appended:
    """What one batch did: a receipt for each event, in order, and whom to ring once it is committed."""

    receipts: list[Receipt]
    doorbells: Doorbells


class Room:
    """How many more deliveries may be announced to each queue. Counted now and then, estimated between."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()
        self._counted_at = float("-inf")  # monotonic seconds

    def refresh(self, db: Connection) -> None:
        """Count again if the last count is old."""
        if time.monotonic() - self._counted_at < ROOM_REFRESH_S:
            return
        self._left = Counter({queue: HIGH_WATER - count for queue, count in count_queued(db).items()})
        self._counted_at = time.monotonic()

    def take(self, queue: str) -> bool:
        """Take one place in a queue, if there is one."""
        left = self._left.get(queue, HIGH_WATER)
        self._left[queue] = left - 1
        return left > 0


def append(db: Connection, batch: Sequence[NewEvent], room: Room) -> Appended:
    """Insert what is new in the batch; what is known already, in the ledger or in the batch, is a duplicate."""
    room.refresh(db)
    new: dict[Key, NewEvent] = {}
    for event in batch:
        new.setdefault((event.source, event.dedupe_key), event)
    inserted = _insert_events(db, new)
    for key in inserted:
        if (body_id := new[key].body_id) is not None:
            take_body(db, body_id, inserted[key])
    ids = inserted | _known_ids(db, new.keys() - inserted.keys())
    doorbells = _insert_deliveries(db, [(inserted[key], event) for key, event in new.items() if key in inserted], room)
    return Appended(_receipts(batch, ids, inserted), doorbells)


def _receipts(batch: Sequence[NewEvent], ids: dict[Key, int], inserted: dict[Key, int]) -> list[Receipt]:
    first = set(inserted)
    receipts = []
    for event in batch:
        key = (event.source, event.dedupe_key)
        receipts.append(Receipt(ids[key], duplicate=key not in first))
        first.discard(key)
    return receipts


def _insert_events(db: Connection, new: dict[Key, NewEvent]) -> dict[Key, int]:
    # In one order everywhere: of two web processes with the same new keys, each would wait for the other otherwise.
    rows = [_event_row(event) for _, event in sorted(new.items(), key=_key)]
    inserted = insert_rows(db, events, EVENT_COLUMNS, rows, giving=("source", "dedupe_key"), ignore_known=True)
    return {(source, dedupe_key): event_id for event_id, source, dedupe_key in inserted}


def _key(item: tuple[Key, NewEvent]) -> Key:
    return item[0]


def _known_ids(db: Connection, keys: Collection[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    # Source by source: SQLite finds (source, key) pairs by reading all of history, and keys of one source by the index.
    for source in {source for source, _ in keys}:
        its = [dedupe_key for each, dedupe_key in keys if each == source]
        known = _KNOWN.execute(db, {"its_source": source, "its_keys": as_list(db, its)})
        found |= {(source, dedupe_key): event_id for dedupe_key, event_id in known}
    return found


_KNOWN = prepare_with_lists(
    lambda among: select(events.c.dedupe_key, events.c.id).where(
        events.c.source == bindparam("its_source"), among(events.c.dedupe_key, "its_keys")
    )
)


def _insert_deliveries(db: Connection, new: Sequence[tuple[int, NewEvent]], room: Room) -> Doorbells:
    rows = [
        _delivery_row(event_id, delivery, event.received_at, room)
        for event_id, event in new
        for delivery in event.deliveries
    ]
    doorbells: Doorbells = defaultdict(list)
    inserted = insert_rows(db, deliveries, DELIVERY_COLUMNS, rows, giving=("queue", "state"))
    for delivery_id, queue, state in inserted:
        if state == DeliveryState.QUEUED:
            doorbells[queue].append(delivery_id)
    return doorbells


DELIVERY_COLUMNS = ("event_id", "handler", "queue", "due_at", "trigger", "state", "announcements", "overdue_at")


def _delivery_row(event_id: int, delivery: NewDelivery, now: float, room: Room) -> tuple[Any, ...]:
    announced = room.take(delivery.queue)
    state = (QUEUED, 1, now + FIRST_OVERDUE_S) if announced else (PENDING, 0, None)
    return (event_id, delivery.handler, delivery.queue, now, INITIAL, *state)


EVENT_COLUMNS = (
    "source",
    "dedupe_key",
    "external_id",
    "type",
    "account",
    "livemode",
    "received_at",
    "content_type",
    "headers",
    "body",
    "body_sha256",
    "secret_position",
    "flaw",
    "traceparent",
)


def _event_row(event: NewEvent) -> tuple[Any, ...]:
    return (
        event.source,
        event.dedupe_key,
        event.external_id,
        event.type,
        event.account,
        event.livemode,
        event.received_at,
        event.content_type,
        to_json(event.headers).decode(),
        event.body,
        event.body_sha256,
        event.secret_position,
        event.flaw,
        event.traceparent,
    )
