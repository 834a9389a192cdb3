"""kill -9 of a worker in the middle of a handler, and between Slack's yes and our commit: everything, and once."""

import logging
import time
from pathlib import Path

from tests.system.conftest import MakeService
from tests.system.ledger_file import Row
from tests.system.parcel import Parcel, make_build, make_dispute, make_spare
from tests.system.posting import REPEAT, messages_for, post_without_trouble
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn, Trouble

log = logging.getLogger(__name__)

FREED_S = 120.0
# The sweeper gives a worker 30 s to show a sign of life.

SLOW = '''
"""Writes, plans, and takes its time the first time."""

import os
import time
from pathlib import Path

from sqlalchemy import text

from handlers.router import handler

RUNS = Path(os.environ["TEST_RUNS"])


@handler(source="stripe", types=["product.created"], queue="payments")
def slow(event, ctx):
    ctx.db.execute(text("INSERT INTO tally VALUES (:delivery)"), {"delivery": ctx.delivery_id})
    ctx.post(event, key=f"slow:{event.external_id}", channel=ctx.channels.finance, text="slow, but here", blocks=[])
    first = not RUNS.exists()
    with RUNS.open("a") as runs:
        runs.write(f"{os.getpid()}\\n")
    if first:
        time.sleep(8)
'''


def test_kill_9_of_a_worker_has_each_handler_run_once_more_and_each_alert_told_once_or_marked_as_a_possible_repeat(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    """What Slack took before the kill is looked for: one of the two messages is found, the other is not."""
    runs = tmp_path / "runs"
    service = service_with(handlers={"slow": SLOW}, environ={"TEST_RUNS": str(runs)})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.prepare()
    service.ledger.execute("CREATE TABLE tally (delivery_id INTEGER)")
    service.start()
    post_without_trouble(service, sender)  # to search a channel, Hookline must know its id
    post_without_trouble(service, sender, make_build())
    taken, in_the_middle = [make_dispute(), make_build()], make_spare()
    for parcel, visible in zip(taken, [True, False], strict=True):  # each channel has one on its way
        trouble = slack.expect(Trouble(takes=True, visible=visible, hold=True))
        sender.send(parcel)
        assert trouble.reached.wait(60)
    sender.send(in_the_middle)
    service.wait_for(runs.exists)

    service["worker"].kill_children()

    killed_at = time.monotonic()
    assert service["worker"].wait_for_end() != 0
    slack.release()
    assert [row["state"] for parcel in taken for row in service.ledger.effects(parcel.external_id)] == ["sending"] * 2
    assert service.ledger.effects(in_the_middle.external_id) == []
    service["worker"].start()
    service.wait_until_idle(timeout_s=FREED_S)
    log.info("all done %.1f s after the kill", time.monotonic() - killed_at)
    _check_that_the_handler_ran_once_more(service, in_the_middle)
    assert len(set(runs.read_text().split())) == 2
    assert [post.text for post in slack.posts].count("slow, but here") == 1
    assert [_attempts(row) for parcel in taken for row in service.ledger.effects(parcel.external_id)] == [
        ("sent", 2, 1)
    ] * 2
    found, not_found = (messages_for(service, slack, parcel) for parcel in taken)
    assert [REPEAT in message for message in found] == [False]
    assert [REPEAT in message for message in not_found] == [False, True]
    assert len(slack.calls_of("conversations.history", status=200)) == 2


def _check_that_the_handler_ran_once_more(service: Service, parcel: Parcel) -> None:
    (slow,) = service.ledger.deliveries(parcel.external_id)
    assert (slow["state"], slow["attempts"], slow["crashes"]) == ("done", 2, 1)
    history = [(row["number"], row["outcome"]) for row in service.ledger.attempts(slow["id"])]
    assert history == [(1, "crashed"), (2, "done")]
    assert service.ledger.column("SELECT delivery_id FROM tally") == [slow["id"]]
    assert service.ledger.value("SELECT count(*) FROM disputes") == 2


def _attempts(effect: Row) -> tuple[str, int, int]:
    return effect["state"], effect["attempts"], effect["lost_answers"]
