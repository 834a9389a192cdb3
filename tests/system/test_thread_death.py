"""A worker process that loses one of its threads ends, and whoever keeps it running starts it again."""

import logging
from pathlib import Path

from tests.system.conftest import MakeService
from tests.system.parcel import make_dispute, make_payment
from tests.system.sender import Sender
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

SOFTWARE = 70  # EX_SOFTWARE

FATAL = '''
"""Starts a thread that dies, as a thread of Dramatiq's or of any library may."""

import threading

from handlers.router import handler


@handler(source="stripe", types=["payment_intent.succeeded"], queue="payments")
def fatal(event, ctx):
    threading.Thread(target=lambda: 1 / 0, name="victim").start()
    threading.Event().wait(5)
'''


def test_a_worker_that_loses_a_thread_ends_with_status_70_and_the_next_one_goes_on(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    service = service_with(handlers={"fatal": FATAL})
    service.start()
    sender = Sender(service.url, tmp_path / "sender.jsonl")

    sender.send(make_payment())

    assert service["worker"].wait_for_end() == SOFTWARE
    assert "its thread victim died of ZeroDivisionError" in service["worker"].printed()
    service.start("worker")
    parcel = make_dispute()
    assert sender.send(parcel).accepted
    took_s = service.wait_for(lambda: service.ledger.is_done(parcel.external_id), timeout_s=60)
    log.info("handled %.1f s after the worker's death", took_s)
    assert len(slack.posts) == 1
