"""Put a batch of new events, and one delivery for each handler that wants them, into the ledger."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam, select

from ledger.at_once import insert_at_once
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
    # In one order everywhere: of two web processes with the same new keys, each would wait for the other otherwise.
    in_order = [event for _, event in sorted(new.items(), key=_key)]
    insert = _insert_in_turn if db.dialect.name == "sqlite" else _insert_at_once
    inserted, doorbells = insert(db, in_order, room)
    for key in inserted:
        if (body_id := new[key].body_id) is not None:
            take_body(db, body_id, inserted[key])
    ids = inserted | _known_ids(db, new.keys() - inserted.keys())
    return Appended(_receipts(batch, ids, inserted), doorbells)


def _receipts(batch: Sequence[NewEvent], ids: dict[Key, int], inserted: dict[Key, int]) -> list[Receipt]:
    first = set(inserted)
    receipts = []
    for event in batch:
        key = (event.source, event.dedupe_key)
        receipts.append(Receipt(ids[key], duplicate=key not in first))
        first.discard(key)
    return receipts


def _key(item: tuple[Key, NewEvent]) -> Key:
    return item[0]


def _insert_in_turn(db: Connection, new: Sequence[NewEvent], room: Room) -> tuple[dict[Key, int], Doorbells]:
    rows = [_event_row(event) for event in new]
    inserted = insert_rows(db, events, EVENT_COLUMNS, rows, giving=("source", "dedupe_key"), ignore_known=True)
    ids = {(source, dedupe_key): event_id for event_id, source, dedupe_key in inserted}
    their_deliveries = [
        (event_id, *_delivery_row(delivery, event.received_at, room))
        for event in new
        if (event_id := ids.get((event.source, event.dedupe_key))) is not None
        for delivery in event.deliveries
    ]
    columns = ("event_id", *DELIVERY_COLUMNS)
    return ids, _doorbells(insert_rows(db, deliveries, columns, their_deliveries, giving=("queue", "state")))


def _insert_at_once(db: Connection, new: Sequence[NewEvent], room: Room) -> tuple[dict[Key, int], Doorbells]:
    # Deliveries of events that are known take room as well, until it is counted again: nobody knows yet which they are.
    wanted = [
        (event.source, event.dedupe_key, *_delivery_row(delivery, event.received_at, room))
        for event in new
        for delivery in event.deliveries
    ]
    both = insert_at_once(db, EVENT_COLUMNS, [_event_row(event) for event in new], DELIVERY_COLUMNS, wanted)
    ids = {(source, dedupe_key): event_id for event_id, source, dedupe_key, *_ in both}
    return ids, _doorbells(delivery for _, _, _, *delivery in both)


def _doorbells(inserted: Iterable[Sequence[Any]]) -> Doorbells:
    doorbells: Doorbells = defaultdict(list)
    for delivery_id, queue, state in inserted:
        if state == QUEUED:
            doorbells[queue].append(delivery_id)
    return doorbells


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


DELIVERY_COLUMNS = ("handler", "queue", "due_at", "trigger", "state", "announcements", "overdue_at")


def _delivery_row(delivery: NewDelivery, now: float, room: Room) -> tuple[Any, ...]:
    announced = room.take(delivery.queue)
    state = (QUEUED, 1, now + FIRST_OVERDUE_S) if announced else (PENDING, 0, None)
    return (delivery.handler, delivery.queue, now, INITIAL, *state)


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
