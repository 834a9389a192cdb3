"""Retention: what is over goes when it is old, and nothing else does."""

import itertools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from handlers.payments.tables import payments
from ledger import replays
from ledger.audit import By
from ledger.errors import LedgerUnavailable
from ledger.event import DeliveryState, EffectState
from ledger.prune import Ages, delete_events, empty_payloads, preview, prune
from ledger.store import Ledger
from ledger.tables import attempts, cases, deliveries, events, past_effects
from ledger.tables import effects as effects_table
from ledger.views.audit import list_audit
from tests.engines import ON_POSTGRESQL
from tests.ledger.making import new_event, plan_effect, planned, states, store

NOW = 1_800_000_000.0
DAY_S = 86_400.0
AGES = Ages(payload_before=NOW - 30 * DAY_S, identity_before=NOW - 90 * DAY_S)

BY = By(who="ann", via="cli")

YOUNG, MIDDLING, OLD = 29.9, 30.1, 90.1

OVER = {"done", "dismissed", "sent", "kept"}
COPIES = 2


@dataclass(frozen=True)
class Case:
    """An event of some age in days, with a delivery in each of these states, the first one with this effect."""

    id: int
    age_days: float
    deliveries: tuple[str, ...]
    effect: str | None

    @property
    def over(self) -> bool:
        return {*self.deliveries, *([self.effect] if self.effect else [])} <= OVER

    @property
    def left(self) -> str:
        """What must be left of it."""
        if not self.over or self.age_days < MIDDLING:
            return "all"
        return "identity" if self.age_days < OLD else "nothing"


def every_mixture() -> list[Case]:
    """Make every mixture of at most two deliveries and an effect at every age: more than one look takes in."""
    owed: list[tuple[str, ...]] = [(), *((state,) for state in DeliveryState)]
    owed += itertools.product(DeliveryState, repeat=2)
    mixtures = [(some, effect) for some in owed for effect in ((None, *EffectState) if some else (None,))]
    ages = [YOUNG, MIDDLING, OLD] * COPIES
    numbered = enumerate(itertools.product(ages, mixtures), start=1)
    return [Case(number, age, some, effect) for number, (age, (some, effect)) in numbered]


def fill(ledger: Ledger, cases: Sequence[Case]) -> None:
    owed = list(enumerate(((case, state) for case in cases for state in case.deliveries), start=1))
    first = {case.id: number for number, (case, _) in reversed(owed)}
    rows = {
        events: [event_row(case.id, NOW - case.age_days * DAY_S) for case in cases],
        deliveries: [delivery_row(number, case.id, state) for number, (case, state) in owed],
        attempts: [attempt_row(number) for number, _ in owed],
        effects_table: [effect_row(first[case.id], case.id, case.effect) for case in cases if case.effect],
    }
    with ledger.write() as db:
        for table, its in rows.items():
            if its:
                db.execute(insert(table), its)


def event_row(number: int, received_at: float) -> dict[str, Any]:
    key = f"evt_{number}"
    named = {"source": "stripe", "dedupe_key": key, "external_id": key, "type": "charge.refunded"}
    payload = {"content_type": "application/json", "headers": '{"user-agent": "Stripe"}', "body": b"{}"}
    return {"id": number, **named, **payload, "received_at": received_at, "body_sha256": "0", "secret_position": 0}


def delivery_row(number: int, event_id: int, state: str) -> dict[str, Any]:
    named = {"id": number, "event_id": event_id, "handler": f"h.{number}", "queue": "payments"}
    return {**named, "state": state, "due_at": 0, "trigger": "initial"}


def attempt_row(delivery_id: int) -> dict[str, Any]:
    times = {"started_at": 0, "finished_at": 0}
    return {"delivery_id": delivery_id, "number": 1, "trigger": "initial", "outcome": "done", **times}


def effect_row(delivery_id: int, event_id: int, state: str) -> dict[str, Any]:
    named = {"event_id": event_id, "delivery_id": delivery_id, "key": f"key-{event_id}", "channel": "#finance"}
    return {**named, "message": json.dumps({"text": "x"}), "state": state, "planned_at": 1.0, "due_at": 1.0}


def left(ledger: Ledger) -> dict[int, str]:
    """Say what is left of each event that is there."""
    with ledger.read() as db:
        rows = db.execute(select(events.c.id, events.c.body, events.c.headers, events.c.payload_pruned_at)).all()
    kinds = {(True, True, False): "all", (False, False, True): "identity"}
    return {number: kinds[bool(body), headers != "{}", at is not None] for number, body, headers, at in rows}


def column(ledger: Ledger, which: Any) -> set[Any]:
    with ledger.read() as db:
        return set(db.execute(select(which)).scalars())


def run(ledger: Ledger, ages: Ages = AGES) -> tuple[int, int]:
    done = prune(ledger, ages, by=BY, stopping=threading.Event())
    return done.deleted, done.emptied


def test_of_any_mixture_of_states_and_ages_exactly_what_may_go_goes(ledger: Ledger) -> None:
    cases = every_mixture()
    fill(ledger, cases)
    found = preview(ledger, AGES)
    gone = {case.id for case in cases if case.left == "nothing"}
    emptied = {case.id for case in cases if case.left == "identity"}

    assert run(ledger) == (found.deleted, found.emptied) == (len(gone), len(emptied))

    assert left(ledger) == {case.id: case.left for case in cases if case.id not in gone}
    owed = [(case, state) for case in cases for state in case.deliveries]
    staying = {number for number, (case, _) in enumerate(owed, start=1) if case.id not in gone}
    assert column(ledger, deliveries.c.id) == column(ledger, attempts.c.delivery_id) == staying
    keys = {f"key-{case.id}": case.id in gone for case in cases if case.effect}
    assert column(ledger, past_effects.c.key) == {key for key, is_gone in keys.items() if is_gone}
    assert column(ledger, effects_table.c.key) == {key for key, is_gone in keys.items() if not is_gone}
    assert found.unfinished == sum(not case.over and case.age_days > YOUNG for case in cases)
    assert run(ledger) == (0, 0)


def test_the_book_of_payments_is_never_pruned(ledger: Ledger) -> None:
    row: dict[str, Any] = {
        "account": "", "livemode": True, "id": "pi_1", "amount": 5, "amount_received": 5, "currency": "usd",
        "status": "succeeded", "version_standing": 1, "version_created": 1, "version_rank": 1, "version_event": "evt_1",
    }  # fmt: skip
    fill(ledger, [Case(1, OLD, ("done",), None)])
    with ledger.write() as db:
        db.execute(insert(payments).values(**row))
    assert run(ledger) == (1, 0)
    assert column(ledger, payments.c.id) == {"pi_1"}


def test_an_event_that_comes_again_after_it_was_forgotten_tells_nobody_twice(ledger: Ledger) -> None:
    fill(ledger, [Case(1, OLD, ("done",), "sent")])
    run(ledger)
    store(ledger, new_event(key="evt_1"))
    with ledger.write() as db:
        delivery_id = db.execute(select(deliveries.c.id)).scalar_one()
        event_id = db.execute(select(events.c.id)).scalar_one()
        values = {"event_id": event_id, "delivery_id": delivery_id, "channel": "#finance", "message": {}, "now": NOW}
        assert plan_effect(db, key="key-1", **values) is None
        assert plan_effect(db, key="another", **values) is not None
    assert [each.key for each in planned(ledger)] == ["another"]


def replay(db: Connection, *event_ids: int) -> list[int]:
    """Replay the deliveries of these events, as if their payload had been there a moment ago."""
    rows = db.execute(select(deliveries).where(deliveries.c.event_id.in_(event_ids))).all()
    items = [
        replays.Item(event_id=row.event_id, handler=row.handler, queue=row.queue, delivery_id=row.id) for row in rows
    ]
    number = replays.create(db, items, who="ann", reason=None, chosen={}, state=None, again=False, now=NOW)
    return replays.advance(db, number, limit=100, now=NOW).started


def test_a_replay_leaves_alone_what_has_no_payload_any_more(ledger: Ledger) -> None:
    fill(ledger, [Case(1, MIDDLING, ("done",), None), Case(2, YOUNG, ("done",), None)])
    run(ledger)
    with ledger.write() as db:
        assert replay(db, 1, 2) == [2]
    assert states(ledger) == ["done", "pending"]


def test_an_event_that_is_taken_up_again_after_the_look_keeps_all(ledger: Ledger) -> None:
    fill(ledger, [Case(1, OLD, ("done",), None), Case(2, OLD, ("done",), None)])
    with ledger.write() as db:
        replay(db, 1)
    with ledger.write() as db:
        assert (empty_payloads(db, [1]), delete_events(db, [1])) == (0, 0)
        assert (empty_payloads(db, [2]), delete_events(db, [2])) == (1, 1)
    assert left(ledger) == {1: "all"}


@ON_POSTGRESQL
def test_an_event_that_is_being_replayed_at_this_moment_keeps_all(ledger: Ledger) -> None:
    """The replay is not committed when the prune comes: nobody sees yet what it changed."""
    fill(ledger, [Case(1, OLD, ("done",), None), Case(2, OLD, ("done",), None)])
    with ledger.write() as replaying:
        replay(replaying, 1)
        assert run(ledger) == (1, 0)
    assert left(ledger) == {1: "all"}
    assert states(ledger) == ["pending"]


@ON_POSTGRESQL
def test_a_replay_that_comes_while_a_payload_is_being_pruned_comes_too_late(ledger: Ledger) -> None:
    fill(ledger, [Case(1, MIDDLING, ("done",), None)])
    found: list[list[int]] = []

    def replay_it() -> None:
        with ledger.write() as db:
            found.append(replay(db, 1))

    other = threading.Thread(target=replay_it)
    with ledger.write() as db:
        assert empty_payloads(db, [1]) == 1
        other.start()
        other.join(0.3)  # either it waits for us, or it has not begun: both must end the same
    other.join()
    assert found == [[]]
    assert states(ledger) == ["done"]


def test_two_prunes_at_once_share_the_work(ledger: Ledger) -> None:
    fill(ledger, [Case(number, OLD, ("done",), "sent") for number in range(1, 501)])
    done: list[tuple[int, int]] = []
    both = [threading.Thread(target=lambda: done.append(run(ledger))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sum(deleted for deleted, _ in done) == 500
    with ledger.read() as db:
        assert db.execute(select(func.count()).select_from(past_effects)).scalar() == 500


def test_a_prune_that_is_stopped_ends_after_the_batch_and_goes_on_the_next_time(ledger: Ledger) -> None:
    fill(ledger, [Case(number, OLD, ("done",), None) for number in range(1, 501)])
    stopping = threading.Event()
    done = prune(ledger, AGES, by=BY, stopping=stopping, said=lambda _: stopping.set())
    assert 0 < done.deleted < 500
    assert len(left(ledger)) == 500 - done.deleted
    with ledger.read() as db:
        assert [entry["action"] for entry in list_audit(db, limit=9)] == ["prune", "prune.begin"]
    assert run(ledger) == (500 - done.deleted, 0)


def test_a_batch_that_fails_leaves_its_events_whole(ledger: Ledger) -> None:
    fill(ledger, [Case(1, OLD, ("done",), "sent")])

    def fail() -> None:
        with ledger.write() as db:
            delete_events(db, [1])
            raise LedgerUnavailable("for this test")

    with pytest.raises(LedgerUnavailable):
        fail()
    assert left(ledger) == {1: "all"}
    assert column(ledger, effects_table.c.key) == {"key-1"}


def test_large_payloads_go_in_small_batches(ledger: Ledger) -> None:
    fill(ledger, [Case(number, MIDDLING, (), None) for number in range(1, 5)])
    with ledger.write() as db:
        db.execute(update(events).values(body=b"x" * 5 * 1024 * 1024))
    progress: list[int] = []
    prune(ledger, AGES, by=BY, stopping=threading.Event(), said=lambda done: progress.append(done.emptied))
    assert (progress[0], progress[-1]) == (2, 4)


def test_what_never_became_a_case_is_forgotten_and_cases_stay(ledger: Ledger) -> None:
    same = {"kind": "dispute", "account": "", "status": "", "title": "", "facets": "{}", "channel": "#finance"}
    known = [("old", "quiet", OLD), ("young", "quiet", YOUNG), ("lost", "closed", OLD), ("due", "open", OLD)]
    with ledger.write() as db:
        for key, state, age_days in known:
            at = NOW - age_days * DAY_S
            row = {**same, "key": key, "state": state, "opened_at": at, "changed_at": at}
            db.execute(insert(cases), row)
    run(ledger)
    assert column(ledger, cases.c.key) == {"young", "lost", "due"}
