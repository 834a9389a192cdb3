"""Valkey killed and wiped under load: nobody who sends notices, and everything accepted is handled."""

import itertools
import logging
from statistics import median

from tests.system.parcel import Parcel, make_dispute, make_payment
from tests.system.posting import check_told_once
from tests.system.sender import Sender
from tests.system.service import VALKEY, Service
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

WIPES = 2
BETWEEN_WIPES = 50
DISPUTE_EVERY = 10

UNNOTICED_S = 0.5
# Nobody who sends is made to wait for Valkey.

RECOVERED_S = 120.0
# What was announced and lost is announced again after 10 s, and after 20 s when that was lost, too. Alerts go to a
# channel one a second.


def test_every_accepted_event_is_handled_though_valkey_is_killed_and_wiped_under_load(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    service.start()
    numbers = itertools.count()

    def make() -> Parcel:
        return make_payment() if next(numbers) % DISPUTE_EVERY else make_dispute()

    with sender.load(make, at_once=4, pause_s=0.05) as load:
        for _ in range(WIPES):
            load.wait_for_accepted(BETWEEN_WIPES)
            service[VALKEY].kill()
            service.wipe_valkey()
            load.wait_for_accepted(BETWEEN_WIPES)
            service.start(VALKEY)
        load.wait_for_accepted(BETWEEN_WIPES)

    took_s = service.wait_until_idle(timeout_s=RECOVERED_S)
    lost = service.ledger.rung_twice()
    log.info(
        "%s accepted, %s doorbells lost, all handled %.1f s after the last was sent", load.accepted(), lost, took_s
    )
    assert load.accepted() == len(load.answers)
    assert median(answer.took_s for answer in load.answers) < UNNOTICED_S
    assert service.ledger.external_ids() == sender.record.accepted()
    assert lost > 0
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 1 FROM deliveries"))
    assert all(service.ledger.column("SELECT state = 'sent' FROM effects"))
    check_told_once(service, slack, alerts=service.ledger.value("SELECT count(*) FROM disputes"))
