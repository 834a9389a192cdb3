"""Replays: never past what was chosen, and whenever they are interrupted, each item once."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from handlers.context import Channels, Context
from ledger import actions, replays
from ledger.audit import By
from ledger.event import DeliveryState, Event
from ledger.replays import Item, NewHandler
from ledger.store import Ledger, Transaction
from ledger.tables import attempts, deliveries, effects, events, replay_items
from ledger.tables import replays as replays_table
from ledger.views import Filter
from ledger.views.audit import list_audit
from ledger.views.replays import get_replay
from tests.engines import ON_BOTH, ON_SQLITE
from tests.ledger.making import delivery, new_event, planned, states, store

NOW = 1_800_000_000.0
OVER = ("failed", "dead", "done", "dismissed")
TYPES = ("invoice.paid", "invoice.created", "payout.paid")


def find(ledger: Ledger, handler: NewHandler | None = None, **wanted: Any) -> list[Item]:
    with ledger.read() as db:
        return replays.find(db, Filter(**wanted), handler=handler).items


def create(ledger: Ledger, items: list[Item], *, state: str | None = None, again: bool = False) -> int:
    with ledger.write() as db:
        return replays.create(db, items, who="ann", reason="why", chosen={}, state=state, again=again, now=NOW)


def advance(ledger: Ledger, number: int, limit: int = 1_000) -> list[int]:
    with ledger.write() as db:
        return replays.advance(db, number, limit=limit, now=NOW).started


def set_state(ledger: Ledger, delivery_id: int, state: str) -> None:
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(state=state))


def forget(ledger: Ledger) -> None:
    with ledger.write() as db:
        for table in (replay_items, replays_table, effects, attempts, deliveries, events):
            db.execute(delete(table))


SOME = st.lists(
    st.tuples(st.sampled_from(list(DeliveryState)), st.sampled_from(TYPES), st.integers(0, 9)), min_size=1, max_size=12
)


@ON_SQLITE
@given(
    some=SOME,
    state=st.none() | st.sampled_from(OVER),
    type_=st.sampled_from(["invoice.*", "payout.paid", "*"]),
    since=st.integers(0, 9),
    limit=st.integers(1, 12),
    steps=st.lists(st.integers(1, 4), max_size=20),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_is_chosen_and_however_often_it_is_interrupted_each_runs_once_and_nothing_else(
    ledger: Ledger, *, some: list[Any], state: str | None, type_: str, since: int, limit: int, steps: list[int]
) -> None:
    forget(ledger)
    for _, kind, at in some:
        store(ledger, new_event(type=kind, received_at=float(at)))
    with ledger.read() as db:
        ids = list(db.execute(select(deliveries.c.id).order_by(deliveries.c.id)).scalars())
    for delivery_id, (its_state, _, _) in zip(ids, some, strict=True):
        set_state(ledger, delivery_id, its_state)
    matching = [
        (at, delivery_id)
        for delivery_id, (its_state, kind, at) in zip(ids, some, strict=True)
        if (kind.startswith("invoice.") or type_ == "*" if type_ != "payout.paid" else kind == type_)
        and at >= since
        and (its_state == state if state else True)
    ]
    chosen = [each for _, each in sorted(matching)[:limit]]
    expected = [each for each in chosen if some[ids.index(each)][0] in OVER]

    items = find(ledger, state=state, type=type_, since=float(since), limit=limit)
    number = create(ledger, items, state=state)
    store(ledger, new_event(type="invoice.paid", received_at=9.0))
    started: list[int] = []
    for step in [*steps, 1_000, 1_000]:
        started += advance(ledger, number, limit=step)

    assert [item.delivery_id for item in items] == expected
    assert sorted(started) == sorted(expected)
    for delivery_id, (its_state, _, _) in zip(ids, some, strict=True):
        row = delivery(ledger, delivery_id)
        assert row.state == ("pending" if delivery_id in expected else its_state)
        assert (row.trigger == "replay") is (delivery_id in expected)


def test_a_delivery_that_is_in_another_state_when_its_turn_comes_is_left_alone(ledger: Ledger) -> None:
    store(ledger, new_event(), new_event())
    for each in (1, 2):
        set_state(ledger, each, "dead")
    number = create(ledger, find(ledger, state="dead"), state="dead")
    set_state(ledger, 2, "done")
    assert advance(ledger, number) == [1]
    assert states(ledger) == ["pending", "done"]
    with ledger.read() as db:
        view = get_replay(db, number)
    assert view is not None
    assert (view["who"], view["reason"], view["started"], view["left_alone"]) == ("ann", "why", 1, 1)
    assert (view["state"], view["deliveries"]) == ("done", {"pending": 1})


def test_a_handler_that_came_later_gets_a_delivery_for_the_events_that_it_wants(ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1"), new_event(key="evt_2", handlers=("other.run",)))
    store(ledger, new_event(key="evt_3", type="payout.paid", handlers=()))
    new = NewHandler(name="new.run", source="stripe", queue="payments", wants=lambda _, kind: kind.startswith("charge"))
    number = create(ledger, find(ledger, handler=new))
    assert len(advance(ledger, number)) == 2
    with ledger.read() as db:
        made = db.execute(select(deliveries).where(deliveries.c.handler == "new.run")).all()
    assert [(row.event_id, row.state, row.trigger) for row in made] == [
        (1, "pending", "replay"),
        (2, "pending", "replay"),
    ]


def test_an_effect_is_done_again_only_when_the_replay_says_so_and_is_marked(ledger: Ledger) -> None:
    store(ledger, new_event())
    post(ledger)
    post(ledger)
    assert [each.key for each in planned(ledger)] == ["refund"]
    post(ledger, again_for=7)
    post(ledger, again_for=7)
    assert [each.key for each in planned(ledger)] == ["refund", "refund/replay/7"]
    assert "Repeated on purpose (replay 7)" in planned(ledger)[1].message


def post(ledger: Ledger, **changes: Any) -> None:
    event = Event(
        id=1, source="stripe", external_id="evt", type="charge.refunded", account=None, livemode=True,
        received_at=time.time(), content_type="application/json", body=b"{}",
    )  # fmt: skip
    with ledger.write() as db:
        channels = Channels(finance="#finance", engineering="#engineering")
        context = Context(db=Transaction(db), channels=channels, delivery_id=1, now=NOW, **changes)
        context.post(event, key="refund", channel="#finance", text="Refund", blocks=[])


@ON_SQLITE
def test_whoever_goes_on_with_a_replay_is_in_the_audit_log_once(ledger: Ledger) -> None:
    ann, bob = By(who="ann", via="cli"), By(who="bob", via="api")
    for _ in range(4):
        store(ledger, new_event())
    with ledger.write() as db:
        db.execute(update(deliveries).values(state="dead"))
        found = replays.find(db, Filter())
        number = actions.start_replay(db, found, chosen={}, state=None, again=False, by=ann, now=NOW)
    for by in (ann, bob, bob, ann, ann):
        with ledger.write() as db:
            actions.advance(db, number, by=by, limit=1, now=NOW)
    with ledger.read() as db:
        said = [(entry["action"], entry["who"], entry["detail"]["replay"]) for entry in list_audit(db, limit=9)]
    assert said[::-1] == [("replay", "ann", 1), ("replay.resume", "bob", 1), ("replay.resume", "ann", 1)]


@ON_BOTH
def test_there_is_no_replay_of_a_number_that_no_database_can_count_to(ledger: Ledger) -> None:
    with ledger.read() as db:
        assert get_replay(db, 2**63) is None
    with pytest.raises(LookupError):
        advance(ledger, 2**63)
