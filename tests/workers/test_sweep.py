"""The sweeper."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.brokers.stub import StubBroker
from sqlalchemy import CTE, ColumnElement, Insert, String, Table, cast, func, insert, literal, select, update

from config.metrics import uncounted
from handlers.router import QUEUES, Handler, Router
from ledger import claims, effects, line
from ledger.announce import EFFECTS_QUEUE
from ledger.overdue import HIGH_WATER, SWEEP_LIMIT
from ledger.rejections import KEPT, prune
from ledger.store import Ledger
from ledger.tables import attempts, deliveries, events, requests
from tests.ledger.making import delivery, new_event, plan_effect, planned, states, store
from workers.sweep import Sweeper

HANDLER = Handler(name="topic.run", source="stripe", types=("*",), queue="payments", run=lambda _event, _context: None)
ROUTER = Router([HANDLER])


class Clock:
    """A monotonic clock that goes as far as a test says."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker() -> Iterator[StubBroker]:
    broker = StubBroker(middleware=[])
    for queue in (*QUEUES, EFFECTS_QUEUE):
        broker.declare_queue(queue)
    yield broker
    broker.close()


@pytest.fixture
def sweeper(ledger: Ledger, broker: StubBroker, clock: Clock) -> Sweeper:
    return Sweeper(ledger, broker, ROUTER, metrics=uncounted(), monotonic=clock)


def messages(broker: StubBroker, queue: str = "payments") -> list[Any]:
    """Take the messages out of a queue."""
    taken = []
    while not broker.queues[queue].empty():
        taken.append(list(Message.decode(broker.queues[queue].get()).args))
    return taken


def set_all(ledger: Ledger, **values: object) -> None:
    with ledger.write() as db:
        db.execute(update(deliveries).values(**values))


def claim(ledger: Ledger, ids: list[int], token: str = "worker") -> None:
    with ledger.write() as db:
        assert len(claims.claim(db, ids, handlers={"topic.run"}, token=token, now=time.time())) == len(ids)


def sweep_for(sweeper: Sweeper, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        sweeper.sweep()
        clock.now += 1
    sweeper.sweep()


def test_a_retry_that_is_due_is_announced(ledger: Ledger, broker: StubBroker, sweeper: Sweeper) -> None:
    ids = store(ledger, new_event())
    set_all(ledger, state="failed", due_at=time.time() - 1)
    sweeper.sweep()
    assert messages(broker) == [[ids]]
    assert states(ledger) == ["queued"]


def test_a_retry_that_is_not_due_is_not_announced(ledger: Ledger, broker: StubBroker, sweeper: Sweeper) -> None:
    store(ledger, new_event())
    set_all(ledger, state="failed", due_at=time.time() + 60)
    sweeper.sweep()
    assert messages(broker) == []


def test_what_was_announced_and_never_claimed_is_announced_again_with_growing_patience(
    ledger: Ledger,
    broker: StubBroker,
    sweeper: Sweeper,
) -> None:
    (one,) = store(ledger, new_event())
    sweeper.sweep()
    assert messages(broker) == []
    for patience_s in (20, 40, 80, 160, 300, 300, 300):
        set_all(ledger, overdue_at=time.time() - 1)
        began = time.time()
        sweeper.sweep()
        assert messages(broker) == [[[one]]]
        assert began + patience_s <= delivery(ledger, one).overdue_at <= time.time() + patience_s
    assert delivery(ledger, one).attempts == 0


def fill(ledger: Ledger, count: int, **values: Any) -> None:
    """Add deliveries like the first one, each of an event like its own."""
    with ledger.write() as db:
        first = (db.execute(select(func.max(events.c.id))).scalar() or 0) + 1
        numbers = select(literal(first).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < first + count - 1))
        copies = {"id": numbers.c.n, "dedupe_key": cast(numbers.c.n, String)}
        db.execute(_copy_first(events, numbers, copies))
        given = {name: literal(value, deliveries.c[name].type) for name, value in values.items()}
        db.execute(_copy_first(deliveries, numbers, {"id": numbers.c.n, "event_id": numbers.c.n, **given}))


def _copy_first(table: Table, numbers: CTE, changes: Mapping[str, ColumnElement[Any]]) -> Insert:
    """Copy the row whose id is 1, once for each number, with changes."""
    columns = {column.name: changes.get(column.name, column) for column in table.c}
    return insert(table).from_select(
        list(columns), select(*columns.values()).join_from(numbers, table, table.c.id == 1)
    )


def test_the_backlog_is_announced_up_to_the_high_water_mark(
    ledger: Ledger,
    broker: StubBroker,
    sweeper: Sweeper,
) -> None:
    store(ledger, new_event())
    fill(ledger, HIGH_WATER - 6)
    fill(ledger, 20, state="pending")
    assert not sweeper.sweep()
    assert states(ledger).count("queued") == HIGH_WATER
    assert sum(len(ids) for (ids,) in messages(broker)) == 5


def test_a_sweeper_that_has_more_to_do_says_so(ledger: Ledger, sweeper: Sweeper) -> None:
    store(ledger, new_event())
    fill(ledger, 2 * SWEEP_LIMIT, state="pending")
    assert [sweeper.sweep(), sweeper.sweep(), sweeper.sweep()] == [True, True, False]


def test_deliveries_that_nobody_can_run_take_no_room_in_their_queue(
    ledger: Ledger,
    broker: StubBroker,
    sweeper: Sweeper,
) -> None:
    store(ledger, new_event())
    fill(ledger, HIGH_WATER, handler="gone.handler", overdue_at=time.time() - 1)
    fill(ledger, 1, state="pending")
    sweeper.sweep()
    assert [len(ids) for (ids,) in messages(broker)] == [1]
    assert states(ledger).count("pending") == HIGH_WATER


@pytest.mark.parametrize("ahead_s", [3_600, 365 * 86_400], ids=["an_hour", "a_year"])
def test_what_waits_because_a_clock_was_ahead_is_announced(
    ledger: Ledger, broker: StubBroker, sweeper: Sweeper, *, ahead_s: int
) -> None:
    wrong = time.time() + ahead_s
    store(ledger, new_event(), new_event())
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == 1).values(state="pending", due_at=wrong))
        db.execute(update(deliveries).where(deliveries.c.id == 2).values(overdue_at=wrong))
    sweeper.sweep()
    assert sorted(messages(broker)) == [[[1]], [[2]]]


def test_a_worker_that_beats_keeps_its_claim_for_as_long_as_it_likes(
    ledger: Ledger,
    sweeper: Sweeper,
    clock: Clock,
) -> None:
    claim(ledger, store(ledger, new_event()))
    for _ in range(20):
        sweep_for(sweeper, clock, 5)
        with ledger.write() as db:
            claims.beat(db, ["worker"])
    assert states(ledger) == ["running"]


def test_a_claim_without_a_beat_for_30_seconds_is_freed_and_counts_a_crash(
    ledger: Ledger,
    broker: StubBroker,
    sweeper: Sweeper,
    clock: Clock,
) -> None:
    (one,) = store(ledger, new_event())
    claim(ledger, [one])
    sweep_for(sweeper, clock, 29)
    assert states(ledger) == ["running"]
    sweep_for(sweeper, clock, 1)
    row = delivery(ledger, one)
    assert (row.state, row.crashes, row.token) == ("queued", 1, None)
    assert messages(broker) == [[[one]]]
    with ledger.read() as db:
        recorded = db.execute(select(attempts.c.number, attempts.c.outcome)).all()
    assert recorded == [(1, "crashed")]


def test_deliveries_that_were_in_a_crash_travel_alone_and_not_at_the_same_time(
    ledger: Ledger,
    broker: StubBroker,
    sweeper: Sweeper,
    clock: Clock,
) -> None:
    ids = store(ledger, *[new_event() for _ in range(40)])
    claim(ledger, ids)
    sweep_for(sweeper, clock, 31)
    with ledger.write() as db:
        assert len(set(db.execute(select(deliveries.c.due_at)).scalars())) == len(ids)
        db.execute(update(deliveries).where(deliveries.c.state == "pending").values(due_at=time.time()))
    sweeper.sweep()
    assert sorted(messages(broker)) == [[[each]] for each in ids]


def test_a_delivery_whose_worker_died_three_times_is_dead(ledger: Ledger, sweeper: Sweeper, clock: Clock) -> None:
    (one,) = store(ledger, new_event())
    for crash in range(3):
        claim(ledger, [one], token=f"worker {crash}")
        sweep_for(sweeper, clock, 31)
    row = delivery(ledger, one)
    assert (row.state, row.crashes) == ("dead", 3)
    assert "died 3 times" in row.last_error


def test_time_in_which_the_sweeper_could_not_look_is_not_held_against_workers(
    ledger: Ledger,
    sweeper: Sweeper,
    clock: Clock,
) -> None:
    claim(ledger, store(ledger, new_event()))
    sweep_for(sweeper, clock, 10)
    clock.now += 3_600
    sweep_for(sweeper, clock, 10)
    assert states(ledger) == ["running"]
    sweep_for(sweeper, clock, 10)
    assert states(ledger) == ["queued"]


def test_a_sweeper_whose_passes_are_slow_frees_what_is_lost_all_the_same(
    ledger: Ledger,
    sweeper: Sweeper,
    clock: Clock,
) -> None:
    claim(ledger, store(ledger, new_event()))
    for _ in range(10):
        sweeper.sweep()
        clock.now += 8
    assert states(ledger) == ["queued"]


def test_a_jump_of_the_wall_clock_frees_nothing(ledger: Ledger, sweeper: Sweeper, clock: Clock) -> None:
    claim(ledger, store(ledger, new_event()))
    sweep_for(sweeper, clock, 5)
    set_all(ledger, started_at=time.time() - 86_400)
    sweep_for(sweeper, clock, 5)
    assert states(ledger) == ["running"]


def test_two_sweepers_announce_a_delivery_once(ledger: Ledger, broker: StubBroker, sweeper: Sweeper) -> None:
    ids = store(ledger, new_event())
    set_all(ledger, state="pending")
    sweeper.sweep()
    Sweeper(ledger, broker, ROUTER, metrics=uncounted()).sweep()
    assert messages(broker) == [[ids]]


def test_two_sweepers_count_one_crash(ledger: Ledger, broker: StubBroker, sweeper: Sweeper, clock: Clock) -> None:
    (one,) = store(ledger, new_event())
    claim(ledger, [one])
    other = Sweeper(ledger, broker, ROUTER, metrics=uncounted(), monotonic=clock)
    for _ in range(32):
        sweeper.sweep()
        other.sweep()
        clock.now += 1
    assert delivery(ledger, one).crashes == 1


def test_an_effect_whose_worker_died_while_sending_is_ambiguous(ledger: Ledger, sweeper: Sweeper, clock: Clock) -> None:
    (one,) = store(ledger, new_event())
    with ledger.write() as db:
        plan_effect(
            db,
            event_id=1,
            delivery_id=one,
            key="k",
            channel="#finance",
            message={"text": ""},
            now=time.time(),
        )
        assert line.claim_next(db, token="worker", now=time.time()) is not None
    sweep_for(sweeper, clock, 31)
    (effect,) = planned(ledger)
    assert (effect.state, effect.lost_answers, effect.failures) == ("ambiguous", 1, 1)


def test_an_effect_on_which_workers_die_for_three_days_is_dead(ledger: Ledger, sweeper: Sweeper, clock: Clock) -> None:
    (one,) = store(ledger, new_event())
    with ledger.write() as db:
        plan_effect(db, event_id=1, delivery_id=one, key="k", channel="#finance", message={"text": ""}, now=0)
        assert line.claim_next(db, token="worker", now=time.time() - 3 * 86_400) is not None
    sweep_for(sweeper, clock, 31)
    (effect,) = planned(ledger)
    assert effect.state == "dead"


def test_an_effect_that_waits_is_rung_for(ledger: Ledger, broker: StubBroker, sweeper: Sweeper) -> None:
    (one,) = store(ledger, new_event())
    with ledger.write() as db:
        plan_effect(db, event_id=1, delivery_id=one, key="k", channel="#finance", message={"text": ""}, now=0)
    sweeper.sweep()
    assert messages(broker, EFFECTS_QUEUE) == [[]]


def test_a_channel_that_slack_wants_left_alone_waits_as_long_as_it_asked_whosever_clock_was_ahead(
    ledger: Ledger, sweeper: Sweeper
) -> None:
    (one,) = store(ledger, new_event())
    asked_s = {"right": 600.0, "ahead": 1.0}
    with ledger.write() as db:
        for channel, ahead_s in (("right", 0.0), ("ahead", 1_800.0)):
            now = time.time() + ahead_s
            message = {"text": ""}
            plan_effect(db, event_id=1, delivery_id=one, key=channel, channel=channel, message=message, now=0)
            claimed = line.claim_next(db, token=channel, now=now)
            assert claimed is not None
            assert claimed.key == channel
            effects.pause_channel(db, claimed, token=channel, now=now, pause_s=asked_s[channel])
    sweeper.sweep()
    with ledger.write() as db:
        ahead = line.claim_next(db, token="t", now=time.time() + 1)
    assert ahead is not None
    assert ahead.key == "ahead"


def test_the_newest_ten_thousand_rejections_are_kept(ledger: Ledger) -> None:
    rejection = {
        "received_at": 0.0,
        "source": "stripe",
        "path": "/",
        "status": 401,
        "reason": "signature_missing",
        "headers": "{}",
    }
    with ledger.write() as db:
        db.execute(insert(requests), [rejection] * (KEPT + 50))
        prune(db)
        kept = db.execute(select(requests.c.id)).scalars().all()
    assert (len(kept), min(kept)) == (KEPT, 51)
