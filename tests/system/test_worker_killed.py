"""kill -9 of a worker in the middle of a handler: handled once more, with all effects once."""

import logging
import time
from pathlib import Path

from tests.system.conftest import MakeService
from tests.system.parcel import make_dispute, make_parcel
from tests.system.sender import Sender
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

FREED_S = 60.0
# The sweeper gives a worker 30 s to show a sign of life.

SLOW = '''
"""Writes, plans, and takes its time the first time."""

import os
import time
from pathlib import Path

from sqlalchemy import text

from handlers.router import handler

RUNS = Path(os.environ["TEST_RUNS"])


@handler(source="stripe", types=["charge.dispute.created"], queue="payments")
def slow(event, ctx):
    ctx.db.execute(text("INSERT INTO tally VALUES (:delivery)"), {"delivery": ctx.delivery_id})
    ctx.post(event, key=f"slow:{event.external_id}", channel=ctx.channels.finance, text="slow, but here", blocks=[])
    first = not RUNS.exists()
    with RUNS.open("a") as runs:
        runs.write(f"{os.getpid()}\\n")
    if first:
        time.sleep(8)
'''


def test_kill_9_in_the_middle_of_a_handler_is_handled_once_more_with_effects_once(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    service = service_with(handlers={"slow": SLOW}, environ={"TEST_RUNS": str(runs)})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.prepare()
    service.ledger.execute("CREATE TABLE tally (delivery_id INTEGER)")
    service.start()
    first = make_parcel("stripe", "payout.failed")
    sender.send(first)  # an alert may be on its way when we kill: to search for it, Hookline must know the channel
    service.wait_for(lambda: service.ledger.is_done(first.external_id))
    parcel = make_dispute()
    sender.send(parcel)
    service.wait_for(runs.exists)

    service["worker"].kill_children()

    killed_at = time.monotonic()
    assert service["worker"].wait_for_end() != 0
    service["worker"].start()
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id), timeout_s=FREED_S)
    log.info("done %.1f s after the kill", time.monotonic() - killed_at)
    assert len(set(runs.read_text().split())) == 2
    (slow,) = [row for row in service.ledger.deliveries(parcel.external_id) if row["handler"] == "slow.slow"]
    assert (slow["attempts"], slow["crashes"]) == (2, 1)
    history = [(row["number"], row["outcome"]) for row in service.ledger.attempts(slow["id"])]
    assert history == [(1, "crashed"), (2, "done")]
    assert service.ledger.column("SELECT delivery_id FROM tally") == [slow["id"]]
    assert service.ledger.value("SELECT count(*) FROM disputes") == 1
    assert sorted(post.text[:14] for post in slack.posts[1:]) == ["TEST: Dispute ", "slow, but here"]
