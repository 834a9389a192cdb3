"""How much waits, runs and is dead in the ledger."""

import pytest
from sqlalchemy import event, text, update

from ledger.census import Census, take_census
from ledger.event import DeliveryState, EffectState
from ledger.store import Ledger
from ledger.tables import deliveries, effects
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, store

NOW = 1_000_000.0


def put(ledger: Ledger, state: DeliveryState, *, due_at: float = NOW) -> int:
    (delivery_id,) = store(ledger, new_event())
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(state=state, due_at=due_at))
    return delivery_id


def put_effect(ledger: Ledger, state: EffectState, *, due_at: float = NOW) -> None:
    delivery_id = put(ledger, DeliveryState.DONE)
    row = {
        "event_id": delivery_id,
        "delivery_id": delivery_id,
        "key": str(delivery_id),
        "channel": "#c",
        "message": "{}",
    }
    with ledger.write() as db:
        db.execute(effects.insert().values(**row, state=state, planned_at=NOW, due_at=due_at))


def census(ledger: Ledger) -> Census:
    with ledger.read() as db:
        return take_census(db, NOW)


def test_an_empty_ledger_has_nothing_and_waits_for_nothing(ledger: Ledger) -> None:
    assert census(ledger) == Census(deliveries={}, effects={}, oldest_delivery_s=0, oldest_effect_s=0)


def test_what_is_not_over_is_counted_by_state_and_what_is_over_is_not(ledger: Ledger) -> None:
    for state in DeliveryState:
        put(ledger, state)
    put(ledger, DeliveryState.DEAD)
    for effect_state in EffectState:
        put_effect(ledger, effect_state)

    counted = census(ledger)

    assert counted.deliveries == {"pending": 1, "failed": 1, "queued": 1, "running": 1, "dead": 2}
    assert counted.effects == {"planned": 1, "ambiguous": 1, "sending": 1, "dead": 1}


@pytest.mark.parametrize(
    "state", [DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.QUEUED, DeliveryState.RUNNING]
)
def test_the_oldest_is_as_old_as_it_is_overdue(ledger: Ledger, state: DeliveryState) -> None:
    put(ledger, state, due_at=NOW - 90)
    put(ledger, state, due_at=NOW - 60)

    assert census(ledger).oldest_delivery_s == 90


def test_a_retry_that_is_not_due_yet_is_no_lag_and_neither_is_what_is_over(ledger: Ledger) -> None:
    put(ledger, DeliveryState.FAILED, due_at=NOW + 3600)
    put(ledger, DeliveryState.DONE, due_at=NOW - 3600)
    put(ledger, DeliveryState.DEAD, due_at=NOW - 3600)
    put_effect(ledger, EffectState.AMBIGUOUS, due_at=NOW + 60)
    put_effect(ledger, EffectState.PLANNED, due_at=NOW - 5)

    assert (census(ledger).oldest_delivery_s, census(ledger).oldest_effect_s) == (0, 5)


@ON_SQLITE
def test_every_question_is_answered_by_an_index_of_what_is_not_over(ledger: Ledger) -> None:
    """However much is done: 100 million deliveries must not make /metrics slow."""
    asked: list[str] = []
    with ledger.read() as db:
        event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        take_census(db, NOW)
    looks = [statement for statement in asked if statement.startswith("SELECT")]
    assert len(looks) == 12

    with ledger.read() as db:
        for look in looks:
            plan = " ".join(row[3] for row in db.execute(text(f"EXPLAIN QUERY PLAN {look.replace('?', '0')}")))
            assert "INDEX ix_" in plan, (look, plan)
