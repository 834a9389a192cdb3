"""The claim about every broker in trouble: nobody who sends notices, and everything accepted is handled."""

import itertools
import logging
from collections.abc import Callable
from statistics import median

from tests.system.parcel import Parcel, make_dispute, make_payment
from tests.system.posting import check_told_once
from tests.system.sender import Load, Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

DISPUTE_EVERY = 10

UNNOTICED_S = 0.5
# Half of those who send get their answer sooner: nobody is made to wait a broker's time-out.

RECOVERED_S = 120.0
# What was announced and lost is announced again after 10 s, and after 20 s when that was lost, too. Alerts go to a
# channel one a second.


def mixture() -> Callable[[], Parcel]:
    """Give what makes payments and now and then a dispute, which is alerted."""
    numbers = itertools.count()
    return lambda: make_payment() if next(numbers) % DISPUTE_EVERY else make_dispute()


def check_unnoticed(service: Service, sender: Sender, load: Load) -> None:
    """Check every answer, whatever happened to the broker meanwhile."""
    assert load.accepted() == len(load.answers)
    assert median(answer.took_s for answer in load.answers) < UNNOTICED_S
    assert service.ledger.external_ids() == sender.record.accepted()


def check_handled(service: Service, slack: SlackStandIn) -> None:
    """Wait until nothing is left to do; check that each thing was done once."""
    took_s = service.wait_until_idle(timeout_s=RECOVERED_S)
    lost = service.ledger.rung_twice()
    log.info("%s doorbells lost, all handled %.1f s after the last was sent", lost, took_s)
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 1 FROM deliveries"))
    assert all(service.ledger.column("SELECT state = 'sent' FROM effects"))
    check_told_once(service, slack, alerts=service.ledger.value("SELECT count(*) FROM disputes"))
