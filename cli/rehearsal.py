"""Rehearses what a replay would run: every delivery of it, in transactions that are taken back.

On SQLite nobody else can write meanwhile, so it goes in small steps, each with a transaction of its own. What one step
plans is remembered for the next ones; what it writes in the book is not.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from config.rules import Rules, rules_of
from config.settings import Settings, load_settings
from handlers.context import Channels, Context
from handlers.rehearsal import Make, Rehearsed, rehearse, taken_back
from handlers.router import Handler
from ledger.claims import load_events
from ledger.event import Event
from ledger.replays import Item
from ledger.store import Ledger, Transaction
from ledger.tables import replays

STEP = 20
STEP_S = 0.1
# Providers wait for their turn to write, on SQLite.


def contexts(settings: Settings, rules: Rules, *, again_for: int | None = None) -> Make:
    """Give handlers what a worker with these settings gives them, by these rules.

    Args:
        settings: the worker's.
        rules: of the alerts.
        again_for: the replay that does effects again, as `handlers.context.Context` has it.

    """
    channels = Channels(finance=settings.slack_finance_channel, engineering=settings.slack_engineering_channel)

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

    return make


def rehearse_all(
    ledger: Ledger, items: Sequence[Item], handlers: Mapping[str, Handler], *, again: bool
) -> Iterator[Rehearsed]:
    """Run these items one after the other, and keep nothing.

    Args:
        ledger: where they are.
        items: what a replay would run.
        handlers: by name.
        again: as if effects that are recorded already were to be done again.

    """
    with ledger.read() as db:
        again_for = (db.execute(select(func.max(replays.c.id))).scalar() or 0) + 1 if again else None
    settings = load_settings(os.environ)
    make = contexts(settings, rules_of(settings), again_for=again_for)
    planned: set[str] = set()
    done = 0
    while done < len(items):
        for each in _step(ledger, items[done : done + STEP], handlers, make):
            done += 1
            yield _as_if_kept(each, planned)


def view(done: Rehearsed) -> dict[str, Any]:
    """Show what one delivery would do as a JSON object."""
    return {
        "action": "rehearsal",
        "event": done.event_id,
        "type": done.type,
        "handler": done.handler,
        "outcome": "failed" if done.error else "done",
        "effects": [
            {"key": each.key, "channel": each.channel, "text": str(each.message.get("text", ""))} for each in done.told
        ],
        "skipped": list(done.skipped),
        "error": done.error,
    }


def _step(ledger: Ledger, items: Sequence[Item], handlers: Mapping[str, Handler], make: Make) -> list[Rehearsed]:
    with ledger.read() as db:
        found = load_events(db, {item.event_id for item in items})
    done: list[Rehearsed] = []
    with taken_back(ledger.write()) as db:
        until = time.monotonic() + STEP_S
        for item in items:
            done.append(_run(db, item, found[item.event_id], handlers.get(item.handler), make))
            if time.monotonic() > until:
                break
    return done


def _run(db: Connection, item: Item, event: Event, handler: Handler | None, make: Make) -> Rehearsed:
    if handler is None:
        error = "this version has no handler of that name"
        return Rehearsed(event_id=event.id, type=event.type, handler=item.handler, error=error)
    return rehearse(db, event, handler, make, delivery_id=item.delivery_id)


def _as_if_kept(done: Rehearsed, planned: set[str]) -> Rehearsed:
    """Count what an earlier step planned as recorded."""
    new = [each for each in done.told if each.key not in planned]
    old = [each.key for each in done.told if each.key in planned]
    planned.update(each.key for each in new)
    return replace(done, told=new, skipped=[*done.skipped, *old])
