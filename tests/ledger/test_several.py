"""Several processes at one ledger: they share the work, nothing is done twice, and nobody waits for ever."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import URL, func, insert, select, update

from config.database import make_engine
from ledger import claims, line, overdue
from ledger.again import retry_deliveries
from ledger.event import Receipt
from ledger.store import Ledger
from ledger.tables import deliveries, events
from ledger.writer import Writer
from tests.engines import ON_POSTGRESQL
from tests.ledger.hands import make_writer
from tests.ledger.making import delivery, new_event, plan_effect, settings_for, states, store

ROUNDS = 15
KEYS = 60


@pytest.fixture
def another(ledger_url: URL, ledger: Ledger) -> Iterator[Ledger]:  # noqa: ARG001  # closed after this one
    """The same ledger, as another process has it open."""
    another = Ledger(make_engine(settings_for(ledger_url)))
    yield another
    another.close()


@pytest.mark.anyio
async def test_two_web_processes_that_get_the_same_events_in_any_order_answer_all_and_store_each_once(
    ledger: Ledger, another: Ledger
) -> None:
    writers = [make_writer(each) for each in (ledger, another)]
    for writer in writers:
        await writer.start()
    for round_ in range(ROUNDS):
        keys = [f"evt_{round_}_{number}" for number in range(KEYS)]
        by_key = await asyncio.gather(*(_append_shuffled(writer, keys) for writer in writers))
        for key in keys:
            first, second = (receipts[key] for receipts in by_key)
            assert first.event_id == second.event_id
            assert [first.duplicate, second.duplicate].count(False) == 1
    for writer in writers:
        await writer.stop()
    with ledger.read() as db:
        assert db.execute(select(func.count()).select_from(events)).scalar() == ROUNDS * KEYS
        assert db.execute(select(func.count()).select_from(deliveries)).scalar() == ROUNDS * KEYS


async def _append_shuffled(writer: Writer, keys: list[str]) -> dict[str, Receipt]:
    shuffled = random.sample(keys, len(keys))
    receipts = await asyncio.gather(*(writer.append(new_event(key=key), timeout_s=60) for key in shuffled))
    return dict(zip(shuffled, receipts, strict=True))


def test_workers_that_get_the_same_deliveries_in_any_order_take_each_once(ledger: Ledger, another: Ledger) -> None:
    for _ in range(ROUNDS):
        ids = store(ledger, *[new_event() for _ in range(32)])
        taken = _at_once(partial(_claim, ledger, ids, "a"), partial(_claim, another, ids[::-1], "b"))
        assert sorted(each for some in taken for each in some) == ids


def _claim(ledger: Ledger, ids: list[int], token: str) -> list[int]:
    with ledger.write() as db:
        taken = claims.claim(db, ids, handlers={"topic.run"}, token=token, now=time.time())
    return [each.id for each in taken]


@ON_POSTGRESQL
def test_what_one_sweeper_has_in_hand_another_passes_over(ledger: Ledger, another: Ledger) -> None:
    store(ledger, new_event())
    handlers = _multiply(ledger, overdue.SWEEP_LIMIT + 20)
    now = time.time()
    with ledger.write() as db, another.write() as other_db:
        first = overdue.announce_due(db, ["payments"], handlers, now)
        second = overdue.announce_due(other_db, ["payments"], handlers, now)
    assert (len(first), len(second)) == (overdue.SWEEP_LIMIT, 20)
    assert not {bell.delivery_id for bell in first} & {bell.delivery_id for bell in second}


@ON_POSTGRESQL
def test_a_claim_without_a_sign_of_life_is_freed_by_one_sweeper_and_its_crash_counted_once(
    ledger: Ledger, another: Ledger
) -> None:
    ids = store(ledger, new_event(), new_event())
    with ledger.write() as db:
        claims.claim(db, ids, handlers={"topic.run"}, token="gone", now=0)
        held = overdue.running(db)
    with ledger.write() as db, another.write() as other_db:
        freed = overdue.free_deliveries(db, held, time.time())
        assert overdue.free_deliveries(other_db, held, time.time()) == {}
    assert freed == {"pending": ids}
    with another.write() as db:
        assert overdue.free_deliveries(db, held, time.time()) == {}
    assert [delivery(ledger, each).crashes for each in ids] == [1, 1]


@ON_POSTGRESQL
def test_senders_take_one_effect_each_without_waiting_for_each_other(ledger: Ledger, another: Ledger) -> None:
    (one,) = store(ledger, new_event())
    with ledger.write() as db:
        for key in "ab":
            plan_effect(
                db, event_id=1, delivery_id=one, key=key, channel=f"#{key}", message={"text": ""}, now=time.time()
            )
    with ledger.write() as db, another.write() as other_db:
        taken = [line.claim_next(each, token="t", now=time.time()) for each in (db, other_db, db, other_db)]
    assert [effect and effect.key for effect in taken] == ["a", "b", None, None]


@ON_POSTGRESQL
def test_a_message_that_runs_for_long_does_not_keep_its_worker_from_saying_that_it_lives(
    ledger: Ledger, another: Ledger
) -> None:
    """Its rows are locked meanwhile, and so are they against the sweeper: the lock is a sign of life by itself."""
    ids = store(ledger, new_event(), new_event())
    with ledger.write() as db:
        for each, token in zip(ids, ("runs", "waits"), strict=True):
            claims.claim(db, [each], handlers={"topic.run"}, token=token, now=time.time())
        held = overdue.running(db)
    with ledger.write() as db:
        assert claims.still_held(db, "runs") == {ids[0]}
        with another.write() as other_db:
            claims.beat(other_db, ["runs", "waits"])
        with another.write() as other_db:
            assert overdue.free_deliveries(other_db, held, time.time()) == {}
    assert [delivery(ledger, each).beat for each in ids] == [0, 1]


def test_people_who_retry_the_same_deliveries_at_once_start_each_once(ledger: Ledger, another: Ledger) -> None:
    ids = store(ledger, *[new_event() for _ in range(32)])
    for _ in range(ROUNDS):
        with ledger.write() as db:
            db.execute(update(deliveries).values(state="dead"))
        retried = _at_once(partial(_retry, ledger, ids), partial(_retry, another, ids[::-1]))
        assert sorted(each for some in retried for each in some) == ids
        assert set(states(ledger)) == {"pending"}


def _retry(ledger: Ledger, ids: list[int]) -> list[int]:
    with ledger.write() as db:
        return retry_deliveries(db, ids, time.time()).deliveries


def test_what_is_read_together_shows_one_state(ledger: Ledger, another: Ledger) -> None:
    count = select(func.count()).select_from(events)
    with ledger.read() as db:
        assert db.execute(count).scalar() == 0
        store(another, new_event())
        assert db.execute(count).scalar() == 0
    with ledger.read() as db:
        assert db.execute(count).scalar() == 1


def _multiply(ledger: Ledger, count: int) -> set[str]:
    """Make deliveries that wait, like the first one, each to a handler of its own; give those."""
    with ledger.write() as db:
        template: dict[str, Any] = dict(db.execute(select(deliveries)).mappings().one())
        del template["id"]
        rows = [template | {"handler": f"h{number}", "state": "pending"} for number in range(count)]
        db.execute(insert(deliveries), rows)
    return {row["handler"] for row in rows}


def _at_once(*works: Callable[[], list[int]]) -> list[list[int]]:
    """Do these in a thread each, all beginning at the same moment."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], list[int]]) -> list[int]:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))
