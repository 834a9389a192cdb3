"""How much waits, runs and is dead in the whole ledger. Never a look at what is done: that is most of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, TextClause, func, select

from ledger.event import DeliveryState, EffectState
from ledger.tables import DEAD, DUE, QUEUED, RUNNING, SENDING, WAITING, deliveries, effects

DELIVERY_STATES = (
    DeliveryState.PENDING,
    DeliveryState.FAILED,
    DeliveryState.QUEUED,
    DeliveryState.RUNNING,
    DeliveryState.DEAD,
)
EFFECT_STATES = (EffectState.PLANNED, EffectState.AMBIGUOUS, EffectState.SENDING, EffectState.DEAD)


@dataclass(frozen=True, slots=True)
class Census:
    """What was in the ledger at one moment."""

    deliveries: Mapping[str, int]  # by state
    effects: Mapping[str, int]  # by state
    oldest_delivery_s: float  # since the oldest delivery that is not handled became due; 0 without one
    oldest_effect_s: float  # likewise, of effects to be sent


def take_census(db: Connection, now: float) -> Census:
    """Count. Each question is answered by one of the partial indexes, however long the history is."""
    return Census(
        deliveries=_count(db, deliveries, (WAITING, QUEUED, RUNNING, DEAD)),
        effects=_count(db, effects, (DUE, SENDING, DEAD)),
        oldest_delivery_s=_age(db, deliveries, (WAITING, QUEUED, RUNNING), now),
        oldest_effect_s=_age(db, effects, (DUE, SENDING), now),
    )


def _count(db: Connection, table: Table, conditions: tuple[TextClause, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for condition in conditions:
        rows = db.execute(select(table.c.state, func.count()).where(condition).group_by(table.c.state))
        counts |= dict(rows.all())
    return counts


def _age(db: Connection, table: Table, conditions: tuple[TextClause, ...], now: float) -> float:
    # From the time it was due: a retry in an hour's time is not late.
    due: ColumnElement[Any] = table.c.due_at <= now
    oldest = [db.execute(select(func.min(table.c.due_at)).where(condition, due)).scalar() for condition in conditions]
    return max((now - due_at for due_at in oldest if due_at is not None), default=0.0)
