"""Do it again, because a person said so: retry what failed or is dead, replay what is over."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from ledger.event import DeliveryState, EffectState, Trigger
from ledger.store import in_turn
from ledger.tables import deliveries, effects, events
from ledger.views import in_parts

RETRIABLE = (DeliveryState.FAILED, DeliveryState.DEAD)
REPLAYABLE = (*RETRIABLE, DeliveryState.DONE, DeliveryState.DISMISSED)


@dataclass(frozen=True, slots=True)
class Again:
    """What was set going again: ids of deliveries and of effects."""

    deliveries: list[int]
    effects: list[int]

    def __add__(self, other: "Again") -> "Again":
        """Put the two together; what is in both counts once."""
        return Again(
            sorted({*self.deliveries, *other.deliveries}),
            sorted({*self.effects, *other.effects}),
        )


NOTHING = Again([], [])


def retry_deliveries(db: Connection, ids: Collection[int], now: float) -> Again:
    """Run failed or dead deliveries again now, and send their dead effects again."""
    parts = (_retry(db, deliveries.c.id.in_(some), effects.c.delivery_id.in_(some), now) for some in in_parts(ids))
    return sum(parts, NOTHING)


def retry_events(db: Connection, event_ids: Collection[int], now: float) -> Again:
    """Run the failed or dead deliveries of these events again now, and send their dead effects again."""
    parts = (
        _retry(db, deliveries.c.event_id.in_(some), effects.c.event_id.in_(some), now) for some in in_parts(event_ids)
    )
    return sum(parts, NOTHING)


def retry_dead_of(db: Connection, handler: str, now: float) -> Again:
    """Run all dead deliveries of a handler again now, and send its dead effects again."""
    its = select(deliveries.c.id).where(deliveries.c.handler == handler)
    dead = (deliveries.c.handler == handler) & (deliveries.c.state == DeliveryState.DEAD)
    return _retry(db, dead, effects.c.delivery_id.in_(its), now)


def replay_events(db: Connection, event_ids: Collection[int], now: float) -> Again:
    """Run every delivery of these events that is over again. Effects that are recorded are not repeated.

    Events whose payload was pruned are left alone: there is nothing to give to a handler.
    """
    over = deliveries.c.state.in_(REPLAYABLE)
    parts = (
        Again(_restart(db, deliveries.c.event_id.in_(_with_payload(db, some)) & over, Trigger.REPLAY, now), [])
        for some in in_parts(event_ids)
    )
    return sum(parts, NOTHING)


def _with_payload(db: Connection, ids: Collection[int]) -> list[int]:
    """Hold those of these events that have their payload, so that nobody prunes it before the commit."""
    statement = select(events.c.id).where(events.c.id.in_(ids), events.c.payload_pruned_at.is_(None))
    return list(db.execute(statement.order_by(events.c.id).with_for_update(read=True)).scalars())


def without_payload(db: Connection, event_ids: Collection[int]) -> int:
    """Count those of these events whose payload was pruned."""
    pruned = select(func.count()).select_from(events).where(events.c.payload_pruned_at.is_not(None))
    return sum(db.execute(pruned.where(events.c.id.in_(some))).scalar_one() for some in in_parts(event_ids))


def waiting_deliveries(db: Connection, event_ids: Collection[int]) -> int:
    """Count the deliveries of these events that wait or run already."""
    waiting = select(func.count()).select_from(deliveries).where(deliveries.c.state.not_in(REPLAYABLE))
    return sum(db.execute(waiting.where(deliveries.c.event_id.in_(some))).scalar_one() for some in in_parts(event_ids))


def _retry(db: Connection, mine: ColumnElement[bool], mine_too: ColumnElement[bool], now: float) -> Again:
    restarted = _restart(db, mine & deliveries.c.state.in_(RETRIABLE), Trigger.RETRY, now)
    dead = select(effects.c.id).where(mine_too, effects.c.state == EffectState.DEAD)
    statement = (
        update(effects)
        .where(effects.c.id.in_(in_turn(dead)))
        .values(
            state=EffectState.PLANNED,
            due_at=now,
            failures=0,
            first_attempt_at=None,
            finished_at=None,
        )
        .returning(effects.c.id)
    )
    return Again(restarted, sorted(db.execute(statement).scalars()))


def _restart(db: Connection, which: Any, trigger: Trigger, now: float) -> list[int]:  # noqa: ANN401
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(in_turn(select(deliveries.c.id).where(which))))
        .values(
            state=DeliveryState.PENDING,
            trigger=trigger,
            due_at=now,
            # A new schedule: a person has looked at it and thinks that it can work now.
            failures=0,
            crashes=0,
            announcements=0,
            first_attempt_at=None,
            finished_at=None,
        )
        .returning(deliveries.c.id)
    )
    return sorted(db.execute(statement).scalars())
