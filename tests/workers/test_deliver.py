"""Running deliveries."""

import contextlib
import itertools
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from handlers.context import Context
from handlers.errors import GiveUp, RetryLater
from ledger import claims
from ledger.claims import Outcome
from ledger.event import DeliveryState, Event
from ledger.store import Ledger, Transaction
from ledger.tables import attempts, deliveries, probes
from tests.engines import ON_SQLITE
from tests.ledger.making import delivery, new_event, outcomes, planned, states, store
from tests.workers.conftest import Bench
from workers.deliver import MAX_TOGETHER


def post(event: Event, context: Context, key: str = "one") -> None:
    context.post(event, key=key, channel="#finance", text="hello", blocks=[])


def make_due(ledger: Ledger) -> None:
    with ledger.write() as db:
        db.execute(update(deliveries).values(due_at=0))


def test_a_delivery_is_run_once_and_done(bench: Bench) -> None:
    ran: list[str] = []
    bench.run = lambda event, _: ran.append(event.external_id)
    ids = store(bench.ledger, new_event(key="evt_a"))
    bench.deliver(ids)
    bench.deliver(ids)
    assert ran == ["evt_a"]
    assert states(bench.ledger) == ["done"]
    assert outcomes(bench.ledger) == ["done"]


def test_a_message_of_many_deliveries_runs_them_all_in_order(bench: Bench) -> None:
    ran: list[int] = []
    bench.run = lambda event, _: ran.append(event.id)
    ids = store(bench.ledger, *[new_event() for _ in range(32)])
    bench.deliver(list(reversed(ids)))
    assert ran == list(range(1, 33))
    assert set(states(bench.ledger)) == {"done"}


def test_a_delivery_that_fails_leaves_its_neighbours_alone(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        post(event, context, key=event.external_id)
        if event.id == 2:
            raise RuntimeError("no")

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event(key=f"evt_{n}") for n in (1, 2, 3)]))
    assert states(bench.ledger) == ["done", "failed", "done"]
    assert [effect.key for effect in planned(bench.ledger)] == ["evt_1", "evt_3"]


def test_an_effect_that_cannot_be_written_is_the_failure_of_the_delivery_that_planned_it(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        channel: Any = None if event.id == 2 else "#finance"
        context.post(event, key=event.external_id, channel=channel, text="hello", blocks=[])

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event(key=f"evt_{n}") for n in (1, 2, 3)]))
    assert states(bench.ledger) == ["done", "failed", "done"]
    assert [effect.key for effect in planned(bench.ledger)] == ["evt_1", "evt_3"]


def test_an_effect_that_cannot_be_written_is_not_lost_in_the_error_that_another_delivery_swallows(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        if event.id == 1:
            post(event, context, key="good")
            context.post(event, key="bad", channel=None, text="hello", blocks=[])  # type: ignore[arg-type]
        with contextlib.suppress(DBAPIError):
            context.db.execute(select(deliveries.c.id))

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event() for _ in range(3)]))
    assert states(bench.ledger) == ["failed", "done", "done"]
    assert planned(bench.ledger) == []


def test_a_failed_delivery_is_due_again_within_its_step_and_says_why(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise ValueError("amount is missing")

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    began = time.time()
    bench.deliver([one])
    row = delivery(bench.ledger, one)
    assert (row.state, row.attempts, row.failures) == ("failed", 1, 1)
    assert began <= row.due_at <= time.time() + 5
    assert row.last_error.startswith("ValueError: amount is missing (")
    assert outcomes(bench.ledger) == ["failed"]


def test_a_failed_delivery_is_left_alone_until_it_is_due(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise RetryLater("busy", after_s=600)

    bench.run = run
    ids = store(bench.ledger, new_event())
    bench.deliver(ids)
    bench.deliver(ids)
    assert outcomes(bench.ledger) == ["failed"]
    make_due(bench.ledger)
    bench.deliver(ids)
    assert outcomes(bench.ledger) == ["failed", "failed"]


def test_retry_later_is_honoured_to_the_second(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise RetryLater("the books are closed", after_s=600)

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    row = delivery(bench.ledger, one)
    assert row.due_at - time.time() == pytest.approx(600, abs=60)
    assert row.last_error == "the books are closed"


def test_give_up_goes_dead_at_once(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise GiveUp("currency xyz")

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    row = delivery(bench.ledger, one)
    assert (row.state, row.last_error) == ("dead", "currency xyz")


def test_three_days_after_its_first_attempt_a_failure_is_dead(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise RuntimeError("still no")

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    with bench.ledger.write() as db:
        db.execute(update(deliveries).values(due_at=0, first_attempt_at=time.time() - 3 * 86_400))
    bench.deliver([one])
    assert states(bench.ledger) == ["dead"]


def test_what_a_handler_writes_commits_with_done_or_not_at_all(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        context.db.execute(insert(probes).values(id=event.id, at=0))
        if event.id == 1:
            raise RuntimeError("after the write")

    bench.run = run
    bench.deliver(store(bench.ledger, new_event(), new_event()))
    with bench.ledger.read() as db:
        assert db.execute(select(probes.c.id)).scalars().all() == [2]


def test_an_effect_is_planned_once_for_ever_under_its_key(bench: Bench) -> None:
    bench.run = post
    bench.deliver(store(bench.ledger, new_event(), new_event()))
    bench.deliver(store(bench.ledger, new_event()))
    assert [effect.key for effect in planned(bench.ledger)] == ["one"]
    assert bench.rung == 1


def test_a_claim_that_was_taken_away_changes_nothing_any_more(bench: Bench) -> None:
    """A worker that was taken for dead, and comes back in the middle of its work."""
    (one,) = store(bench.ledger, new_event())
    with bench.ledger.write() as db:
        (taken,) = claims.claim(db, [one], handlers={"topic.run"}, token="first", now=time.time())
    with bench.ledger.write() as db:
        db.execute(update(deliveries).values(token="second"))
    with bench.ledger.write() as db:
        assert claims.still_held(db, "first") == set()
        claims.settle(db, [Outcome(delivery=taken, state=DeliveryState.DONE)], token="first", now=time.time())
        claims.settle(db, [Outcome(delivery=taken, state=DeliveryState.DEAD)], token="first", now=time.time())
        assert claims.release(db, "first", now=time.time()) == []
    assert states(bench.ledger) == ["running"]


def test_two_workers_cannot_claim_the_same_delivery(bench: Bench) -> None:
    ids = store(bench.ledger, *[new_event() for _ in range(4)])
    with bench.ledger.write() as db:
        first = claims.claim(db, ids[:3], handlers={"topic.run"}, token="a", now=time.time())
        second = claims.claim(db, ids[1:], handlers={"topic.run"}, token="b", now=time.time())
    assert [each.id for each in first] == ids[:3]
    assert [each.id for each in second] == ids[3:]


def test_a_handler_that_this_worker_does_not_know_is_left_for_one_that_does(bench: Bench) -> None:
    ids = store(bench.ledger, new_event(handlers=("topic.newer",)))
    bench.deliver(ids)
    assert states(bench.ledger) == ["queued"]


def test_a_delivery_with_a_crash_does_not_run_in_company(bench: Bench) -> None:
    ids = store(bench.ledger, new_event(), new_event())
    with bench.ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == ids[0]).values(crashes=1))
    bench.deliver(ids)
    assert states(bench.ledger) == ["queued", "done"]
    bench.deliver([ids[0]])
    assert states(bench.ledger) == ["done", "done"]


def hang(_event: Event, _context: Context) -> None:
    while True:
        pass


def test_a_handler_that_runs_too_long_is_stopped_and_its_neighbours_are_not_blamed(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        post(event, context, key=event.external_id)
        while event.id == 2:
            time.sleep(0.01)

    bench.run, bench.handler_limit_s = run, 1.0
    ids = store(bench.ledger, new_event(), new_event(), new_event())
    bench.deliver(ids)
    bench.handler_limit_s = 60.0
    assert states(bench.ledger) == ["pending", "failed", "pending"]
    assert [delivery(bench.ledger, each).crashes for each in ids] == [0, 1, 0]
    assert [delivery(bench.ledger, each).attempts for each in ids] == [0, 1, 0]
    assert planned(bench.ledger) == []
    bench.deliver(ids)
    assert states(bench.ledger) == ["done", "failed", "done"]


def test_a_handler_that_runs_too_long_three_times_is_dead(bench: Bench) -> None:
    bench.run, bench.handler_limit_s = hang, 0.1
    (one,) = store(bench.ledger, new_event())
    for _ in range(3):
        make_due(bench.ledger)
        bench.deliver([one])
    row = delivery(bench.ledger, one)
    assert (row.state, row.crashes, row.last_error) == ("dead", 3, "ran too long 3 times")


def test_a_handler_that_is_stopped_in_the_middle_of_its_sql_leaves_nothing_behind(bench: Bench) -> None:
    def run(_event: Event, context: Context) -> None:
        for number in itertools.count(1):
            context.db.execute(insert(probes).values(id=number, at=0))

    bench.run, bench.handler_limit_s = run, 0.5
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    assert delivery(bench.ledger, one).last_error == "ran too long"
    with bench.ledger.write() as db:
        assert db.execute(select(probes.c.id)).all() == []


def test_a_handler_cannot_end_the_transaction(bench: Bench) -> None:
    def run(_event: Event, context: Context) -> None:
        context.db.commit()  # type: ignore[attr-defined]  # there is none, and that is the point

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    assert "has no attribute 'commit'" in delivery(bench.ledger, one).last_error


def test_an_error_whose_text_no_database_can_hold_is_recorded_all_the_same(bench: Bench) -> None:
    def run(_event: Event, _context: Context) -> None:
        raise ValueError("half a character \ud83d and a NUL \0")

    bench.run = run
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    assert delivery(bench.ledger, one).last_error.startswith("ValueError: half a character ? and a NUL ")


def test_what_was_announced_is_run_also_by_a_worker_whose_clock_is_behind(bench: Bench) -> None:
    ids = store(bench.ledger, new_event(received_at=time.time() + 3600))
    bench.deliver(ids)
    assert states(bench.ledger) == ["done"]


def test_of_large_bodies_a_transaction_takes_as_many_as_fit_in_memory_and_the_next_one_the_others(
    bench: Bench,
) -> None:
    ids = store(bench.ledger, *[new_event(body=b" " * 3_000_000) for _ in range(4)])
    seen: list[list[str]] = []
    bench.run = lambda _event, _context: seen.append(states(bench.ledger))
    bench.deliver(ids)
    assert seen == [["running"] * 4] * 2 + [["done", "done", "running", "running"]] * 2
    assert states(bench.ledger) == ["done"] * 4
    assert [delivery(bench.ledger, each).attempts for each in ids] == [1, 1, 1, 1]


@ON_SQLITE
def test_a_message_that_takes_long_lets_others_write_in_between(bench: Bench) -> None:
    ids = store(bench.ledger, *[new_event(key=f"evt_{n}") for n in range(3)])
    seen: list[int] = []

    def run(event: Event, context: Context) -> None:
        post(event, context, key=event.external_id)
        seen.append(states(bench.ledger).count("done"))

    bench.run, bench.turn_s = run, 0
    bench.deliver(ids)
    assert seen == [0, 1, 2]
    assert outcomes(bench.ledger) == ["done"] * 3


def test_what_a_full_message_holds_is_claimed_part_by_part(bench: Bench) -> None:
    ids = store(bench.ledger, *[new_event() for _ in range(MAX_TOGETHER + 1)])
    seen: list[int] = []
    bench.run = lambda _event, _context: seen.append(states(bench.ledger).count("running"))
    bench.deliver(ids)
    assert (seen[0], seen[-1]) == (MAX_TOGETHER, 1)
    assert set(states(bench.ledger)) == {"done"}


@ON_SQLITE
@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize("last", [2, 3])
def test_a_full_disk_in_the_middle_of_a_message_loses_nothing(bench: Bench, last: int, *, swallowed: bool) -> None:
    """SQLite ends the transaction by itself then; "done" must not be written behind its back."""

    def run(event: Event, context: Context) -> None:
        post(event, context, key=event.external_id)
        if event.id == last:
            pages = context.db.execute(text("PRAGMA page_count")).scalar()
            context.db.execute(text(f"PRAGMA max_page_count = {pages}"))
            with contextlib.suppress(DBAPIError) if swallowed else contextlib.nullcontext():
                context.db.execute(insert(probes), [{"id": number, "at": 0.5} for number in range(100_000)])
            context.db.execute(text("PRAGMA max_page_count = 1000000"))

    bench.run = run
    ids = store(bench.ledger, *[new_event() for _ in range(3)])
    bench.deliver(ids)
    assert states(bench.ledger) == ["pending"] * 3
    assert planned(bench.ledger) == []
    assert [delivery(bench.ledger, each).attempts for each in ids] == [0, 0, 0]


@pytest.mark.parametrize(
    "message",
    [None, 1, "1", [], ["1"], [True], [1.0], [-1], [0], [2**63], [[1]], list(range(1, 1000)), {"ids": [1]}],
)
def test_a_forged_message_is_ignored(bench: Bench, message: Any) -> None:
    store(bench.ledger, new_event())
    bench.deliver(message)
    assert states(bench.ledger) == ["queued"]


def test_a_message_for_a_delivery_that_does_not_exist_does_nothing(bench: Bench) -> None:
    bench.deliver([4711])
    assert outcomes(bench.ledger) == []


def test_what_is_read_ahead_and_fails_fails_nobody(bench: Bench) -> None:
    def ahead(events: Sequence[Event], _db: Transaction) -> None:
        seen.append(len(events))
        raise ValueError("no")

    seen: list[int] = []
    ran: list[int] = []
    ids = store(bench.ledger, *[new_event() for _ in range(3)])
    bench.run, bench.ahead = lambda event, _context: ran.append(event.id), ahead
    bench.deliver(ids)
    assert (seen, ran) == ([3], [1, 2, 3])
    assert states(bench.ledger) == ["done"] * 3


def test_what_takes_too_long_to_read_ahead_is_nobodys_fault_and_left_out(bench: Bench) -> None:
    def ahead(_events: Sequence[Event], _db: Transaction) -> None:
        while True:
            time.sleep(0.01)

    ids = store(bench.ledger, *[new_event() for _ in range(3)])
    bench.handler_limit_s, bench.ahead = 1.0, ahead
    bench.deliver(ids)
    assert states(bench.ledger) == ["done"] * 3
    assert [delivery(bench.ledger, each).crashes for each in ids] == [0, 0, 0]


STEPS = st.lists(st.sampled_from(["ok", "fail", "later", "dead"]), min_size=1, max_size=8)


@ON_SQLITE
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(STEPS, min_size=1, max_size=6))
def test_whatever_handlers_do_deliveries_in_company_end_as_each_would_alone(
    bench: Bench, plan: list[list[str]]
) -> None:
    """A message runs without savepoints until one fails, and then again with them: nobody can tell."""
    together, alone = (store(bench.ledger, *[new_event() for _ in plan]) for _ in range(2))
    places = {each: place for ids in (together, alone) for place, each in enumerate(ids)}

    def run(event: Event, context: Context) -> None:
        attempt = select(deliveries.c.attempts).where(deliveries.c.id == context.delivery_id)
        number = context.db.execute(attempt).scalar_one()
        post(event, context, key=f"{context.delivery_id}/{number}")
        failures = {"fail": RuntimeError("x"), "later": RetryLater("x", after_s=1), "dead": GiveUp("x")}
        step = dict(enumerate(plan[places[context.delivery_id]], start=1)).get(number, "ok")
        if step in failures:
            raise failures[step]

    bench.run = run
    for _ in range(9):
        make_due(bench.ledger)
        bench.deliver(together)
        for each in alone:
            bench.deliver([each])
    ended = [[_ending(bench.ledger, each) for each in ids] for ids in (together, alone)]
    assert ended[0] == ended[1]
    assert {state for state, *_ in ended[0]} <= {"done", "dead"}


def _ending(ledger: Ledger, delivery_id: int) -> tuple[str, int, int, list[tuple[int, str, str | None]], list[str]]:
    row = delivery(ledger, delivery_id)
    with ledger.read() as db:
        its = select(attempts.c.number, attempts.c.outcome, attempts.c.error).where(
            attempts.c.delivery_id == delivery_id
        )
        tried = [tuple(each) for each in db.execute(its.order_by(attempts.c.number))]
    told = [each.key.partition("/")[2] for each in planned(ledger) if each.delivery_id == delivery_id]
    return row.state, row.attempts, row.failures, tried, told
