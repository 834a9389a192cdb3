"""kill -9 of the web process under load: every 2xx is on disk, and what is sent again counts once."""

import itertools
import logging
import time
from collections.abc import Iterator

import pytest

from tests.system.parcel import Parcel, make_dispute, make_payment
from tests.system.posting import check_told_once
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

KILLS = 2
BETWEEN_KILLS = 60
DISPUTE_EVERY = 10


@pytest.mark.thorough  # test_several_instances.py kills one of two and sends everything again; `make faults` kills both
def test_kill_9_of_the_web_process_under_load_loses_no_2xx(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    service.start()
    parcels = _parcels()
    sent: list[Parcel] = []

    def make() -> Parcel:
        sent.append(next(parcels))
        return sent[-1]

    with sender.load(make, at_once=10, pause_s=0.05) as load:
        for _ in range(KILLS):
            load.wait_for_accepted(BETWEEN_KILLS)
            service["web"].kill()
            load.wait_for_refused(1)
            killed_at = time.monotonic()
            service.start("web")
            log.info("ready %.1f s after the kill", time.monotonic() - killed_at)
        load.wait_for_accepted(1)

    accepted, attempted = sender.record.accepted(), sender.record.attempted()
    stored = service.ledger.external_ids()
    log.info("%s sent, %s answered 2xx, %s stored", len(attempted), len(accepted), len(stored))
    assert len(accepted) >= KILLS * BETWEEN_KILLS
    assert accepted < attempted
    assert accepted <= stored <= attempted
    again = sender.send_all(sent)
    assert {answer.status for answer in again} == {200}
    assert {answer.external_id for answer in again if answer.json["status"] == "duplicate"} == stored
    assert service.ledger.external_ids() == attempted
    service.wait_until_idle(timeout_s=60)
    assert all(service.ledger.column("SELECT state = 'done' FROM deliveries"))
    check_told_once(service, slack, alerts=len(sent[::DISPUTE_EVERY]))
    assert service.ledger.is_sound()


def _parcels() -> Iterator[Parcel]:
    for number in itertools.count():
        yield make_payment() if number % DISPUTE_EVERY else make_dispute()
