"""Two sweepers and two worker processes on one ledger: nothing is handled twice."""

from collections import Counter
from pathlib import Path

from tests.system.conftest import MakeService
from tests.system.parcel import make_parcel
from tests.system.sender import Sender

EVENTS = 150

FLAKY = '''
"""Fails the first time, so that it is the sweepers who announce it."""

import os

from sqlalchemy import text

from handlers.errors import RetryLater
from handlers.router import handler

RUNS = os.environ["TEST_RUNS"]


@handler(source="stripe", types=["payout.paid"])
def flaky(event, ctx):
    ctx.db.execute(text("INSERT INTO tally VALUES (:delivery)"), {"delivery": ctx.delivery_id})
    runs = os.open(RUNS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(runs, f"{ctx.delivery_id}\\n".encode())
    os.close(runs)
    if not os.path.exists(f"{RUNS}.{ctx.delivery_id}"):
        open(f"{RUNS}.{ctx.delivery_id}", "w").close()
        raise RetryLater("not the first time", after_s=0.5)
'''


def test_two_sweepers_and_two_workers_handle_nothing_twice(service_with: MakeService, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    service = service_with(handlers={"flaky": FLAKY}, environ={"TEST_RUNS": str(runs), "WORKER_PROCESSES": "2"})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.prepare()
    service.ledger.execute("CREATE TABLE tally (delivery_id INTEGER)")
    service.start("valkey", "web", "worker", "sweeper", "sweeper.2")

    sender.send_all([make_parcel("stripe", "payout.paid") for _ in range(EVENTS)])

    service.wait_until_idle(timeout_s=60)
    ids = service.ledger.column("SELECT id FROM deliveries")
    assert len(ids) == EVENTS
    assert Counter(map(int, runs.read_text().split())) == dict.fromkeys(ids, 2)
    assert Counter(service.ledger.column("SELECT delivery_id FROM tally")) == dict.fromkeys(ids, 1)
    assert Counter(service.ledger.column("SELECT delivery_id FROM attempts")) == dict.fromkeys(ids, 2)
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 2 AND crashes = 0 FROM deliveries"))
