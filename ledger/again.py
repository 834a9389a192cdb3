"""Do it again, because a person said so: retry what failed or is dead. What is over is for `ledger.replays`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

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


def retry_deliveries(db: Connection, ids: Collection[int], now: float, *, states: Collection[str] = RETRIABLE) -> Again:
    """Run failed or dead deliveries again now, and send their dead effects again.

    Args:
        db: where.
        ids: of deliveries.
        now: Unix seconds.
        states: only those in one of these; effects only together with `dead`.

    """
    parts = (
        _retry(db, deliveries.c.id.in_(some), effects.c.delivery_id.in_(some), now, states) for some in in_parts(ids)
    )
    return sum(parts, NOTHING)


def retry_events(db: Connection, event_ids: Collection[int], now: float) -> Again:
    """Run the failed or dead deliveries of these events again now, and send their dead effects again."""
    parts = (
        _retry(db, deliveries.c.event_id.in_(some), effects.c.event_id.in_(some), now, RETRIABLE)
        for some in in_parts(event_ids)
    )
    return sum(parts, NOTHING)


def with_payload(db: Connection, ids: Collection[int]) -> list[int]:
    """Hold those of these events that have their payload, so that nobody prunes it before the commit.

    What has none is left alone by replays: there is nothing to give to a handler.
    """
    statement = select(events.c.id).where(events.c.id.in_(ids), events.c.payload_pruned_at.is_(None))
    return list(db.execute(statement.order_by(events.c.id).with_for_update(read=True)).scalars())


def _retry(
    db: Connection, mine: ColumnElement[bool], mine_too: ColumnElement[bool], now: float, states: Collection[str]
) -> Again:
    restarted = restart(db, mine & deliveries.c.state.in_(states), Trigger.RETRY, now)
    if DeliveryState.DEAD not in states:
        return Again(restarted, [])
    # What a storm's message would have told is told by itself.
    told_again = ~effects.c.key.startswith("storm/")
    dead = select(effects.c.id).where(mine_too, effects.c.state == EffectState.DEAD, told_again)
    statement = (
        update(effects)
        .where(effects.c.id.in_(in_turn(dead)))
        .values(
            state=EffectState.PLANNED,
            due_at=now,
            failures=0,
            first_attempt_at=None,
            finished_at=None,
            folded_into=None,
        )
        .returning(effects.c.id)
    )
    told = sorted(db.execute(statement).scalars())
    # A storm's own messages are over with that: nothing is left that only they would tell.
    storms = select(effects.c.id).where(mine_too, effects.c.state == EffectState.DEAD, ~told_again)
    over = update(effects).where(effects.c.id.in_(in_turn(storms)))
    db.execute(over.values(state=EffectState.KEPT, finished_at=now))
    return Again(restarted, told)


def restart(db: Connection, which: Any, trigger: Trigger, now: float, **marks: Any) -> list[int]:  # noqa: ANN401
    """Let these deliveries run again from the beginning of the schedule. Give the ids of those that were found."""
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
            **marks,
        )
        .returning(deliveries.c.id)
    )
    return sorted(db.execute(statement).scalars())
