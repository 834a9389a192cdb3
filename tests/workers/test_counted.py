"""What workers and sweepers count."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq.brokers.stub import StubBroker
from sqlalchemy import update

from config.metrics import Metrics, make_metrics
from config.settings import load_settings
from handlers.context import Context
from handlers.errors import GiveUp, RetryLater
from handlers.router import QUEUES, Handler, Router
from ledger import claims
from ledger.event import Event
from ledger.store import Ledger
from ledger.tables import deliveries
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, store
from tests.workers.conftest import Bench
from workers.sweep import LOST_AFTER_S, Sweeper

pytestmark = ON_SQLITE


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # which is put back after the test
    return make_metrics(load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)}), handlers=["topic.run"])


@pytest.fixture
def broker() -> Iterator[StubBroker]:
    broker = StubBroker(middleware=[])
    for queue in QUEUES:
        broker.declare_queue(queue)
    yield broker
    broker.close()


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry().get_sample_value(f"hookline_{name}", labels)


def change_all(ledger: Ledger, **values: object) -> None:
    with ledger.write() as db:
        db.execute(update(deliveries).values(**values))


def test_attempts_are_counted_by_handler_and_outcome(bench: Bench, metrics: Metrics) -> None:
    bench.metrics = metrics

    def run(event: Event, _context: Context) -> None:
        if event.type == "fails":
            raise RetryLater("not now", after_s=60)
        if event.type == "gives up":
            raise GiveUp("never")
        while event.type == "hangs":
            time.sleep(0.01)

    bench.run = run
    for kind, limit_s in (("works", 60.0), ("fails", 60.0), ("gives up", 60.0), ("hangs", 0.2)):
        bench.handler_limit_s = limit_s
        bench.deliver(store(bench.ledger, new_event(type=kind)))

    outcomes = ("done", "failed", "dead", "crashed")
    assert [counted(metrics, "attempts_total", handler="topic.run", outcome=each) for each in outcomes] == [1, 1, 1, 1]
    assert counted(metrics, "attempt_seconds_count", handler="topic.run") == 4


def test_what_waited_on_purpose_is_no_lag(bench: Bench, metrics: Metrics) -> None:
    bench.metrics = metrics
    bench.deliver(store(bench.ledger, new_event(received_at=time.time() - 20)))
    retried = store(bench.ledger, new_event(received_at=time.time() - 86_400))
    change_all(bench.ledger, state="failed", trigger="retry", due_at=time.time() - 1)

    bench.deliver(retried)

    assert counted(metrics, "attempts_total", handler="topic.run", outcome="done") == 2
    assert counted(metrics, "handled_seconds_count") == 1
    assert counted(metrics, "handled_seconds_bucket", le="30.0") == 1


def test_what_the_sweeper_announces_and_frees_is_counted(ledger: Ledger, broker: StubBroker, metrics: Metrics) -> None:
    now = [1_000.0]
    router = Router([Handler(name="topic.run", source="stripe", types=("*",), queue="payments", run=lambda *_: None)])
    sweeper = Sweeper(ledger, broker, router, metrics=metrics, monotonic=lambda: now[0])
    ids = store(ledger, *[new_event() for _ in range(3)])

    change_all(ledger, overdue_at=time.time() - 1)
    sweeper.sweep()
    change_all(ledger, state="failed", due_at=time.time() - 1)
    sweeper.sweep()
    assert counted(metrics, "sweeper_announcements_total", reason="again") == 3
    assert counted(metrics, "sweeper_announcements_total", reason="due") == 3

    with ledger.write() as db:
        claims.claim(db, ids[:2], handlers={"topic.run"}, token="worker", now=time.time())
    for _ in range(int(LOST_AFTER_S) + 2):
        sweeper.sweep()
        now[0] += 1
    assert counted(metrics, "sweeper_freed_total", what="deliveries") == 2
