"""SIGTERM of workers: what runs is finished or given back, and never counts as a crash, whatever hangs meanwhile."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.dev.waiting import descendants, members
from tests.system.conftest import MakeService
from tests.system.parcel import make_dispute, make_payment, make_spare
from tests.system.posting import post_without_trouble
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn, Trouble

log = logging.getLogger(__name__)

END_S = 60.0
# 1 s until Dramatiq looks, up to twice the 5 s of the Procfile, and what a busy machine adds.

HANGS_ONCE = '''
"""Hangs in C the first time, where nothing in Python can interrupt it, in the middle of its transaction."""

import os
import time
from pathlib import Path

from sqlalchemy import text

from handlers.router import handler

RUNS = Path(os.environ["TEST_RUNS"])


@handler(source="stripe", types=["product.created"])
def hangs(event, ctx):
    ctx.db.execute(text("INSERT INTO tally VALUES (:delivery)"), {"delivery": ctx.delivery_id})
    first = not RUNS.exists()
    RUNS.touch()
    if first:
        time.sleep(600)
'''


def hang(service: Service) -> None:
    os.kill(service["valkey"].pid, signal.SIGSTOP)


def go_on(service: Service) -> None:
    os.kill(service["valkey"].pid, signal.SIGCONT)


def kill(service: Service) -> None:
    service["valkey"].kill()


def start(service: Service) -> None:
    service.start("valkey")


@pytest.mark.parametrize(
    ("break_broker", "mend_broker"),
    [pytest.param(hang, go_on, id="hung"), pytest.param(kill, start, id="gone", marks=pytest.mark.thorough)],
)
def test_sigterm_gives_back_what_hangs_also_while_the_broker_is(
    break_broker: Callable[[Service], None],
    mend_broker: Callable[[Service], None],
    service_with: MakeService,
    slack: SlackStandIn,
    tmp_path: Path,
) -> None:
    """A handler that hangs holds SQLite's only write transaction; a call of Slack holds a thread."""
    runs = tmp_path / "runs"
    service = service_with(handlers={"hangs": HANGS_ONCE}, environ={"TEST_RUNS": str(runs)})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.prepare()
    service.ledger.execute("CREATE TABLE tally (delivery_id INTEGER)")
    service.start()
    post_without_trouble(service, sender)
    trouble = slack.expect(Trouble(takes=True, hold=True))
    posting, hanging = make_dispute(), make_spare()
    sender.send(posting)
    assert trouble.reached.wait(60)
    sender.send(hanging)
    service.wait_for(runs.exists)
    break_broker(service)

    took_s = service["worker"].stop(timeout_s=END_S)

    log.info("ended after %.1f s", took_s)
    assert service["worker"].wait_for_end() == 0
    (delivery,) = service.ledger.deliveries(hanging.external_id)
    assert (delivery["state"] in ("pending", "queued"), delivery["attempts"], delivery["crashes"]) == (True, 0, 0)
    (effect,) = service.ledger.effects(posting.external_id)
    assert effect["state"] == "ambiguous"
    mend_broker(service)
    service.start("worker")
    service.wait_until_idle(timeout_s=60)
    assert service.ledger.column("SELECT delivery_id FROM tally") == [delivery["id"]]
    assert [row["outcome"] for row in service.ledger.attempts(delivery["id"])] == ["done"]
    assert len(slack.posts_of(effect["key"])) == 1


def test_workers_that_end_in_turn_under_load_leave_everything_to_the_others(service: Service, sender: Sender) -> None:
    """By SIGTERM of the master, of its children, and of nobody but the master by kill -9."""
    service.start("valkey", "web", "worker", "worker.2", "sweeper")
    with sender.load(make_payment, at_once=5, pause_s=0.1) as load:
        load.wait_for_accepted(50)
        service["worker"].stop(timeout_s=END_S)
        service.start("worker")

        load.wait_for_accepted(50)
        for child in descendants(service["worker.2"].pid):
            os.kill(child, signal.SIGTERM)
        service["worker.2"].wait_for_end(timeout_s=END_S)
        service.start("worker.2")

        load.wait_for_accepted(50)
        orphans = {service["worker"].pid}  # its process group
        service["worker"].kill()
        service.wait_for(lambda: not members(orphans), timeout_s=END_S)
        load.wait_for_accepted(1)

    service.wait_until_idle(timeout_s=60)
    assert sender.record.accepted() <= service.ledger.external_ids()
    assert service.ledger.column("SELECT DISTINCT state || crashes || attempts FROM deliveries") == ["done01"]
    assert service.ledger.column("SELECT DISTINCT outcome FROM attempts") == ["done"]
