"""A rehearsal: a handler runs on a stored event as in a worker, and what it planned is looked at and taken back."""

import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from handlers.context import Context
from handlers.router import Handler
from ledger.claims import short
from ledger.effects import read_message
from ledger.event import DeliveryState, Event, Trigger
from ledger.store import check_alive, check_whole, savepoint
from ledger.tables import cases, deliveries, effects, past_effects

INTERNAL = frozenset({"link", "name", "broadcast", "storm", "user"})
# What is kept beside a message and is no part of it.

HANDLER_LIMIT_S = 10
# As in a worker.

Make = Callable[[Connection, int], Context]
# Makes the context of one run, in a transaction, for the delivery of this id.


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message that would be posted.

    Attributes:
        key: its business key.
        parent: the key of the message in whose thread.
        not_before: Unix seconds, where quiet hours hold it.
        message: text and blocks, as Slack is sent them.

    """

    key: str
    channel: str
    parent: str | None
    not_before: float | None
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What one handler would do about one event.

    Attributes:
        skipped: keys of what would be told if it were not recorded already.
        error: what the handler stumbled over, if it did: it would do nothing, then.

    """

    event_id: int
    type: str
    handler: str
    told: Sequence[Told] = ()
    skipped: Sequence[str] = ()
    error: str | None = None


class _TakenBack(Exception):
    """Ends a block, so that nothing of it is kept."""


class _RanTooLong(Exception):
    """A handler took longer than a worker lets it."""


@contextmanager
def taken_back(block: Any) -> Iterator[Connection]:  # noqa: ANN401  # any context manager that gives a Connection
    """Open a transaction, or a savepoint, of which nothing is kept."""
    with suppress(_TakenBack), block as db:
        yield db
        raise _TakenBack


def rehearse(
    db: Connection, event: Event, handler: Handler, make: Make, *, delivery_id: int | None = None
) -> Rehearsed:
    """Run one handler, and say what it has planned. Whoever calls it sees to it that nothing is kept.

    Args:
        db: a write transaction. Of a handler that fails, nothing stays in it.
        event: with its payload.
        handler: what to run.
        make: gives it its context.
        delivery_id: which it is for; None: the event's for this handler, which may have to be made.

    """
    nothing = Rehearsed(event_id=event.id, type=event.type, handler=handler.name)
    try:
        with savepoint(db), _limit(HANDLER_LIMIT_S):
            context = make(db, delivery_id or _delivery_of(db, event.id, handler))
            handler.run(event, context)
            check_whole(db)
    except Exception as error:  # noqa: BLE001  # whatever a handler does is what this is to show
        check_alive(db, error)
        return replace(nothing, error=short(f"{type(error).__name__}: {error}"))
    return replace(nothing, told=_told(db, context.planned), skipped=context.skipped)


def preview(db: Connection, event: Event, handlers: Iterable[Handler], make: Make) -> Iterator[Rehearsed]:
    """Say what each handler would tell of an event if it were the first that is heard of what it is about.

    Nothing is kept, whatever becomes of the transaction.
    """
    for each in handlers:
        first = _without((), db, event, each, make)
        # Lines for threads are told once: as if the cases that it is about had never been, it tells all of them.
        keys = [*first.skipped, *(told.key for told in first.told)]
        yield first if first.error else _without(keys, db, event, each, make)


def _without(keys: Collection[str], db: Connection, event: Event, handler: Handler, make: Make) -> Rehearsed:
    """Rehearse as if nothing had ever been told under these keys."""
    with taken_back(savepoint(db)):
        for table in (cases, effects, past_effects):
            # What was told once is told on, whatever the rules say: this was never told.
            db.execute(delete(table).where(table.c.key.in_(keys)))
        return rehearse(db, event, handler, make)


def _delivery_of(db: Connection, event_id: int, handler: Handler) -> int:
    its = select(deliveries.c.id).where(deliveries.c.event_id == event_id, deliveries.c.handler == handler.name)
    known: int | None = db.execute(its).scalar()
    if known is not None:
        return known
    row = {
        "event_id": event_id,
        "handler": handler.name,
        "queue": handler.queue,
        "state": DeliveryState.PENDING,
        "due_at": time.time(),
        "trigger": Trigger.REPLAY,
    }
    made: int = db.execute(insert(deliveries).values(row).returning(deliveries.c.id)).scalar_one()
    return made


def _told(db: Connection, effect_ids: Sequence[int]) -> list[Told]:
    of = effects.c
    found = select(of.id, of.key, of.channel, of.parent, of.held_until, of.message).where(of.id.in_(effect_ids))
    rows = {row.id: row for row in db.execute(found)}
    return [
        Told(
            key=row.key,
            channel=row.channel,
            parent=row.parent,
            not_before=row.held_until,
            message={name: value for name, value in read_message(row.message).items() if name not in INTERNAL},
        )
        for row in (rows[each] for each in dict.fromkeys(effect_ids))
    ]


@contextmanager
def _limit(limit_s: float) -> Iterator[None]:
    """Interrupt what takes too long: while it runs, SQLite has no other writer."""

    def strike(_number: int, _frame: FrameType | None) -> None:
        raise _RanTooLong(f"took longer than {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
