"""A worker process that loses one of its threads ends, and is started again."""

import logging
import os
import signal
from pathlib import Path

from tests.system.broker import make_delayed, push, valkey
from tests.system.conftest import MakeService
from tests.system.parcel import make_dispute
from tests.system.sender import Sender
from tests.system.service import DEV, VALKEY
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

SOFTWARE = 70  # EX_SOFTWARE

DUE_IN_S = 3.0


def test_a_worker_whose_consumer_thread_dies_ends_with_status_70(service_with: MakeService) -> None:
    """Valkey goes while one delayed message falls due and another waits: Dramatiq 2.2.1 loses the queue's thread."""
    service = service_with(environ={"dramatiq_delay_queue_prefetch": "2"})  # so that it has no reason to fetch
    service.start(VALKEY, "worker")
    with valkey(service) as client:
        for due_in_s in (DUE_IN_S, 3600):
            push(client, make_delayed([4711], queue="payments", due_in_s=due_in_s), queue="payments.DQ")
        service.wait_for(lambda: client.llen("hookline:payments.DQ") == 0, timeout_s=DUE_IN_S)

    service[VALKEY].kill()

    assert service["worker"].wait_for_end() == SOFTWARE
    assert "its thread" in service["worker"].printed()


def test_the_supervisor_starts_a_worker_again_that_lost_a_thread(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    """Valkey hangs while one delayed message falls due and another waits."""
    service = service_with(environ={"dramatiq_delay_queue_prefetch": "2"})
    service.start(DEV)
    with valkey(service) as client:
        server = client.info("server")["process_id"]
        for due_in_s in (DUE_IN_S, 3600):
            push(client, make_delayed([4711], queue="payments", due_in_s=due_in_s), queue="payments.DQ")
        service.wait_for(lambda: client.llen("hookline:payments.DQ") == 0, timeout_s=DUE_IN_S)

    os.kill(server, signal.SIGSTOP)
    service[DEV].wait_for_line(f"worker ended with exit status {SOFTWARE}; it is started again", timeout_s=30)
    os.kill(server, signal.SIGCONT)

    parcel = make_dispute()
    assert Sender(service.url, tmp_path / "sender.jsonl").send(parcel).accepted
    took_s = service.wait_for(lambda: service.ledger.is_done(parcel.external_id), timeout_s=60)
    log.info("handled %.1f s after the worker's death", took_s)
    assert len(slack.posts) == 1
