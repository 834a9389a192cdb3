"""Several sweepers and two worker processes on one ledger: nothing is handled twice, and each of them can end."""

import fcntl
import time
from collections import Counter
from pathlib import Path

from config.database import make_engine
from config.settings import load_settings
from handlers.notifications import digest
from ledger.schedule import DAY_S
from ledger.store import Ledger
from tests.ledger.making import new_event, store
from tests.system.conftest import MakeService
from tests.system.parcel import make_spare
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

EVENTS = 100
KILLS = 2

FLAKY = '''
"""Fails the first time, so that it is the sweepers who announce it."""

from sqlalchemy import text

from handlers.errors import RetryLater
from handlers.router import handler

@handler(source="stripe", types=["product.created"])
def flaky(event, ctx):
    ctx.db.execute(text("INSERT INTO tally VALUES (:delivery)"), {"delivery": ctx.delivery_id})
    tried = text("SELECT count(*) FROM attempts WHERE delivery_id = :delivery")
    if not ctx.db.execute(tried, {"delivery": ctx.delivery_id}).scalar():
        raise RetryLater("not the first time", after_s=0.5)
'''


def test_two_sweepers_of_which_one_is_killed_again_and_again_have_nothing_handled_twice(
    service_with: MakeService, tmp_path: Path
) -> None:
    service = service_with(handlers={"flaky": FLAKY}, environ={"WORKER_PROCESSES": "2"})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.prepare()
    service.ledger.execute("CREATE TABLE tally (delivery_id INTEGER)")
    service.start("valkey", "web", "worker", "sweeper", "sweeper.2")

    for _ in range(KILLS):
        sender.send_all([make_spare() for _ in range(EVENTS // KILLS)])
        service["sweeper"].kill()
        service.start("sweeper")

    service.wait_until_idle(timeout_s=60)
    ids = service.ledger.column("SELECT id FROM deliveries")
    assert len(ids) == EVENTS
    assert Counter(service.ledger.column("SELECT delivery_id FROM tally")) == dict.fromkeys(ids, 1)
    assert Counter(service.ledger.column("SELECT delivery_id FROM attempts")) == dict.fromkeys(ids, 2)
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 2 AND crashes = 0 FROM deliveries"))


def test_sigterm_ends_a_sweeper_in_the_middle_of_a_pass_that_hangs(service: Service) -> None:
    service.prepare()
    with Path(f"{service.ledger.path}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as if another process had stopped in the middle of a transaction
        service.start("sweeper")
        waits = f"-> FLOCK  ADVISORY  WRITE {service['sweeper'].pid} "
        service.wait_for(lambda: waits in Path("/proc/locks").read_text())

        service["sweeper"].stop()

    assert service["sweeper"].wait_for_end() == 0


def test_two_sweepers_send_the_digest_of_a_day_once_and_one_that_starts_later_sends_none(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    rules = tmp_path / "alerts.toml"
    rules.write_text('[digest]\nat = "00:00"\n', encoding="utf-8")  # so that today's is due, whenever this runs
    service = service_with(environ={"HOOKLINE_ALERTS": str(rules)})
    service.prepare()
    ledger = Ledger(make_engine(load_settings({"DATABASE_URL": f"sqlite:///{service.ledger.path}"})))
    store(ledger, new_event(handlers=(), received_at=time.time() - 2 * DAY_S))
    service.start("valkey", "worker", "sweeper", "sweeper.2")
    service.wait_for(lambda: bool(slack.posts))
    service["sweeper"].kill()
    service["sweeper.2"].kill()
    store(ledger, new_event(key="evt_waits", handlers=("payments.payment",), received_at=time.time() - DAY_S))
    ledger.close()
    service.start("sweeper")
    # It announces what waits at the end of a pass, and looks whether a digest is due before that.
    service.wait_for(lambda: service.ledger.deliveries("evt_waits")[0]["announcements"] > 0)
    service.wait_for(lambda: service.ledger.deliveries("evt_waits")[0]["state"] in {"done", "dead"})
    assert service.ledger.value("SELECT count(*) FROM events WHERE type = ?", digest.TYPE) == 1
    assert len([post for post in slack.posts if "digest/" in post.key]) == 1
