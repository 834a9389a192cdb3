"""Dismiss: a person says that a delivery does not matter any more. It counts as done; who, when and why is kept."""

from collections.abc import Collection

from sqlalchemy import Connection, insert, select, update

from ledger.event import DeliveryState, EffectState
from ledger.store import in_turn
from ledger.tables import deliveries, dismissals, effects
from ledger.views import in_parts

DISMISSABLE = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.FAILED, DeliveryState.DEAD)
# What runs is in a worker's hands, and what is over is over.


def dismiss(
    db: Connection,
    ids: Collection[int],
    *,
    who: str,
    reason: str,
    now: float,
    states: Collection[str] = DISMISSABLE,
) -> list[int]:
    """Dismiss these deliveries and their dead effects. Give the ids of the deliveries that it changed something for.

    A dead effect becomes `kept`: it is recorded, and never sent.

    Args:
        db: where.
        ids: of deliveries.
        who: a person's name.
        reason: why it does not matter.
        now: Unix seconds.
        states: only those in one of these; effects only together with `dead`.

    """
    dismissed: set[int] = set()
    for some in in_parts(ids):
        mine = select(deliveries.c.id).where(deliveries.c.id.in_(some), deliveries.c.state.in_(states))
        values = {"state": DeliveryState.DISMISSED, "finished_at": now}
        statement = update(deliveries).where(deliveries.c.id.in_(in_turn(mine))).values(values)
        dismissed.update(db.execute(statement.returning(deliveries.c.id)).scalars())
        if DeliveryState.DEAD not in states:
            continue
        dead = select(effects.c.id).where(effects.c.delivery_id.in_(some), effects.c.state == EffectState.DEAD)
        kept = update(effects).where(effects.c.id.in_(in_turn(dead))).values(state=EffectState.KEPT, finished_at=now)
        dismissed.update(db.execute(kept.returning(effects.c.delivery_id)).scalars())
    if dismissed:
        rows = [{"delivery_id": each, "at": now, "who": who, "reason": reason} for each in sorted(dismissed)]
        db.execute(insert(dismissals), rows)
    return sorted(dismissed)
