"""A rehearsal: runs the handlers of stored events in a transaction that is taken back, and shows what they would do.

On SQLite nobody else can write meanwhile, so it goes in small steps, each with a transaction of its own. What one step
plans is remembered for the next ones; what it writes in the book is not.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from sqlalchemy import Connection, func, insert, select

from config.rules import rules_of
from config.settings import load_settings
from handlers.context import Channels, Context
from handlers.router import Handler
from ledger.claims import load_events, short
from ledger.event import DeliveryState, Event, Trigger
from ledger.replays import Item
from ledger.store import Ledger, Transaction, check_alive, check_whole, savepoint
from ledger.tables import deliveries, effects, replays

STEP = 20
STEP_S = 0.1
# Providers wait for their turn to write, on SQLite.

HANDLER_LIMIT_S = 10
# As in a worker.

Make = Callable[[Connection, int], Context]


class _TakenBack(Exception):
    """Ends the transaction, so that nothing of it is kept."""


class _RanTooLong(Exception):
    """A handler took longer than a worker lets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What one delivery would do."""

    event_id: int
    type: str
    handler: str
    effects: list[dict[str, str]] = field(default_factory=list)  # each with key, channel and text
    skipped: list[str] = field(default_factory=list)  # keys of effects that are recorded already
    error: str | None = None

    def view(self) -> dict[str, Any]:
        """Give it as one JSON object."""
        return {
            "action": "rehearsal",
            "event": self.event_id,
            "type": self.type,
            "handler": self.handler,
            "outcome": "failed" if self.error else "done",
            "effects": self.effects,
            "skipped": self.skipped,
            "error": self.error,
        }


def rehearse(
    ledger: Ledger, items: Sequence[Item], handlers: Mapping[str, Handler], *, again: bool
) -> Iterator[Rehearsed]:
    """Run these items one after the other, and keep nothing.

    Args:
        ledger: where they are.
        items: what a replay would run.
        handlers: by name.
        again: as if effects that are recorded already were to be done again.

    """
    settings = load_settings(os.environ)
    rules = rules_of(settings)
    channels = Channels(finance=settings.slack_finance_channel, engineering=settings.slack_engineering_channel)
    with ledger.read() as db:
        again_for = (db.execute(select(func.max(replays.c.id))).scalar() or 0) + 1 if again else None

    def make(db: Connection, delivery_id: int) -> Context:
        return Context(
            db=Transaction(db),
            channels=channels,
            delivery_id=delivery_id,
            now=time.time(),
            rules=rules,
            allowed_users=settings.allowed_users,
            asks_stripe=settings.stripe_modes,
            again_for=again_for,
        )

    planned: set[str] = set()
    done = 0
    while done < len(items):
        for each in _step(ledger, items[done : done + STEP], handlers, make):
            done += 1
            yield _as_if_kept(each, planned)


def _step(ledger: Ledger, items: Sequence[Item], handlers: Mapping[str, Handler], make: Make) -> list[Rehearsed]:
    with ledger.read() as db:
        found = load_events(db, {item.event_id for item in items})
    done: list[Rehearsed] = []
    with _taken_back(ledger) as db:
        until = time.monotonic() + STEP_S
        for item in items:
            done.append(_run(db, item, found[item.event_id], handlers.get(item.handler), make))
            if time.monotonic() > until:
                break
    return done


@contextmanager
def _taken_back(ledger: Ledger) -> Iterator[Connection]:
    with suppress(_TakenBack), ledger.write() as db:
        yield db
        raise _TakenBack


def _run(db: Connection, item: Item, event: Event, handler: Handler | None, make: Make) -> Rehearsed:
    if handler is None:
        return _failed(item, event, "this version has no handler of that name")
    context = make(db, item.delivery_id or _new_delivery(db, item))
    try:
        with savepoint(db), _limit(HANDLER_LIMIT_S):
            handler.run(event, context)
            check_whole(db)
    except Exception as error:  # noqa: BLE001  # whatever a handler does is what this is to show
        check_alive(db, error)
        return _failed(item, event, f"{type(error).__name__}: {error}")
    return Rehearsed(
        event_id=event.id,
        type=event.type,
        handler=item.handler,
        effects=[_captured(db, each) for each in context.planned],
        skipped=context.skipped,
    )


def _failed(item: Item, event: Event, error: str) -> Rehearsed:
    return Rehearsed(event_id=event.id, type=event.type, handler=item.handler, error=short(error))


def _new_delivery(db: Connection, item: Item) -> int:
    row = {
        "event_id": item.event_id,
        "handler": item.handler,
        "queue": item.queue,
        "state": DeliveryState.PENDING,
        "due_at": time.time(),
        "trigger": Trigger.REPLAY,
    }
    made: int = db.execute(insert(deliveries).values(row).returning(deliveries.c.id)).scalar_one()
    return made


def _captured(db: Connection, effect_id: int) -> dict[str, str]:
    row = db.execute(select(effects.c.key, effects.c.channel, effects.c.message).where(effects.c.id == effect_id)).one()
    return {"key": row.key, "channel": row.channel, "text": str(json.loads(row.message).get("text", ""))}


def _as_if_kept(done: Rehearsed, planned: set[str]) -> Rehearsed:
    """Count what an earlier step planned as recorded."""
    new = [each for each in done.effects if each["key"] not in planned]
    old = [each["key"] for each in done.effects if each["key"] in planned]
    planned.update(each["key"] for each in new)
    return Rehearsed(
        event_id=done.event_id,
        type=done.type,
        handler=done.handler,
        effects=new,
        skipped=[*done.skipped, *old],
        error=done.error,
    )


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
