"""Running deliveries on PostgreSQL, where many write at once and a statement can be the one that waits."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from config.database import make_engine
from handlers.context import Context
from handlers.payments import book
from ledger.event import Event
from ledger.store import Ledger, Transaction
from ledger.tables import probes
from tests.engines import ON_POSTGRESQL
from tests.ledger.making import delivery, new_event, outcomes, settings_for, states, store
from tests.workers.conftest import Bench
from workers.deliver import MAX_TOGETHER

pytestmark = ON_POSTGRESQL

SLEEPING = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")


def sleep(_event: Event, context: Context) -> None:
    context.db.execute(text("SELECT pg_sleep(60)"))


def run_next(bench: Bench) -> None:
    """See that the worker goes on as if nothing had been."""
    bench.run = lambda _event, _context: None
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    assert delivery(bench.ledger, one).state == "done"


def test_a_handler_that_waits_for_the_database_is_stopped_and_so_is_its_statement(bench: Bench) -> None:
    bench.run, bench.handler_limit_s = sleep, 0.3
    (one,) = store(bench.ledger, new_event())
    bench.deliver([one])
    row = delivery(bench.ledger, one)
    assert (row.state, row.crashes, row.last_error) == ("failed", 1, "ran too long")
    with bench.ledger.read() as db:
        assert db.execute(SLEEPING).scalar() == 0
    run_next(bench)


@pytest.fixture
def hurried(ledger_url: URL, bench: Bench) -> Iterator[Bench]:
    """A worker whose statements may take a moment only."""
    hurried = Bench(Ledger(make_engine(settings_for(ledger_url), patience_s=1.0)), bench.watch)
    yield hurried
    hurried.ledger.close()


def test_a_statement_that_takes_too_long_is_its_handlers_failure(hurried: Bench) -> None:
    """It would be run for ever, were it the ledger's."""

    def run(event: Event, context: Context) -> None:
        if event.id == 2:
            sleep(event, context)

    hurried.run = run
    hurried.deliver(store(hurried.ledger, *[new_event() for _ in range(3)]))
    assert states(hurried.ledger) == ["done", "failed", "done"]
    assert "statement timeout" in delivery(hurried.ledger, 2).last_error
    run_next(hurried)


def test_an_error_that_a_handler_swallows_is_its_failure_all_the_same(bench: Bench) -> None:
    """PostgreSQL takes nothing more in a savepoint in which a statement failed, and does not keep what was before."""

    def run(event: Event, context: Context) -> None:
        context.db.execute(insert(probes).values(id=event.id, at=0))
        if event.id == 2:
            with contextlib.suppress(DBAPIError):
                context.db.execute(text("SELECT 1 / 0"))

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event() for _ in range(3)]))
    assert states(bench.ledger) == ["done", "failed", "done"]
    assert "a statement failed and the handler went on" in delivery(bench.ledger, 2).last_error
    with bench.ledger.read() as db:
        assert db.execute(select(probes.c.id).order_by(probes.c.id)).scalars().all() == [1, 3]


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_connection_that_is_lost_in_the_middle_of_a_message_loses_nothing(bench: Bench, *, swallowed: bool) -> None:
    def run(event: Event, context: Context) -> None:
        context.db.execute(insert(probes).values(id=event.id, at=0))
        if event.id == 2:
            try:
                context.db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            except DBAPIError:
                if not swallowed:
                    raise

    bench.run = run
    ids = store(bench.ledger, *[new_event() for _ in range(3)])
    bench.deliver(ids)
    assert states(bench.ledger) == ["pending"] * 3
    assert [delivery(bench.ledger, each).attempts for each in ids] == [0, 0, 0]
    with bench.ledger.read() as db:
        assert db.execute(select(func.count()).select_from(probes)).scalar() == 0
    run_next(bench)


def test_what_a_message_gives_back_does_not_keep_the_rest_of_it_from_being_run(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        if event.id == 2:
            context.db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event() for _ in range(MAX_TOGETHER + 1)]))
    assert states(bench.ledger) == ["pending"] * MAX_TOGETHER + ["done"]


def test_of_two_messages_that_want_each_others_rows_one_is_given_back_and_nobody_is_blamed(bench: Bench) -> None:
    both_have_one = threading.Barrier(2)
    first_time = itertools.count()

    def run(event: Event, context: Context) -> None:
        mine, other = (1, 2) if event.id == 1 else (2, 1)
        context.db.execute(update(probes).where(probes.c.id == mine).values(at=probes.c.at + 1))
        if next(first_time) < 2:
            both_have_one.wait(timeout=60)
        context.db.execute(update(probes).where(probes.c.id == other).values(at=probes.c.at + 1))

    bench.run = run
    with bench.ledger.write() as db:
        db.execute(insert(probes), [{"id": 1, "at": 0}, {"id": 2, "at": 0}])
    ids = store(bench.ledger, new_event(), new_event())
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(bench.deliver, [[each] for each in ids]))
    assert sorted(states(bench.ledger)) == ["done", "pending"]
    for each in ids:
        bench.deliver([each])
    assert outcomes(bench.ledger) == ["done", "done"]
    assert [(row.attempts, row.failures) for row in (delivery(bench.ledger, each) for each in ids)] == [(1, 0), (1, 0)]
    with bench.ledger.read() as db:
        assert db.execute(select(probes.c.at)).scalars().all() == [2, 2]


def test_a_lost_connection_that_the_last_handler_of_a_message_swallows_gives_the_message_back(bench: Bench) -> None:
    def run(event: Event, context: Context) -> None:
        if event.id == 3:
            with contextlib.suppress(DBAPIError):
                context.db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    bench.run = run
    bench.deliver(store(bench.ledger, *[new_event() for _ in range(3)]))
    assert states(bench.ledger) == ["pending"] * 3
    run_next(bench)


def test_a_payment_that_another_worker_enters_meanwhile_is_seen_all_the_same(bench: Bench) -> None:
    """Two workers find that a payment is new; one of them enters it first."""

    def ahead(events: Sequence[Event], db: Transaction) -> None:
        book.find_payments(events, db)
        with bench.ledger.write() as other:
            book.enter_intent(Transaction(other), events[0])

    verdicts: list[str] = []
    bench.run = lambda event, context: verdicts.append(book.enter_intent(context.db, event).verdict)
    bench.ahead = ahead
    intent = {"id": "pi_1", "amount": 4900, "currency": "usd", "status": "processing"}
    body = json.dumps({"created": 1, "data": {"object": intent}}).encode()
    bench.deliver(store(bench.ledger, *[new_event(body=body) for _ in range(2)]))
    assert verdicts == ["new", "repeated", "newer"]
    assert states(bench.ledger) == ["done", "done"]
