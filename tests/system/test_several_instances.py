"""Two of everything on one ledger: what one of them answered is handled once, whichever is killed."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from threading import Barrier

import pytest

from tests.system.balancer import Balancer
from tests.system.parcel import Parcel, make_dispute, make_payment
from tests.system.sender import Answer, Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

EVERYTHING_TWICE = ("web", "web.2", "worker", "worker.2", "sweeper", "sweeper.2")
DISPUTE_EVERY = 10
SIMULTANEOUS = 60


@dataclass(frozen=True)
class Twins:
    """Two of each process, and the workspace that they alert."""

    service: Service
    slack: SlackStandIn


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[Twins]:
    """Start them once: that takes longer than the tests."""
    slack = SlackStandIn()
    place = tmp_path_factory.mktemp("twins")
    with closing(Service(place, environ=slack.environ, nursery=nursery)) as service:
        slack.start()
        service.start("valkey", *EVERYTHING_TWICE)
        yield Twins(service, slack)
    slack.stop()
    assert slack.refused == []


def test_one_event_at_several_instances_at_the_same_moment_is_one_event(twins: Twins, tmp_path: Path) -> None:
    """2 to 8 copies of each, released together at both instances."""
    service = twins.service
    parcels = list(itertools.islice(_parcels(), SIMULTANEOUS))
    copies = [parcel for parcel in parcels for _ in range(SystemRandom().randint(1, 4))]
    together = Barrier(2)

    def send(name: str) -> list[Answer]:
        sender = Sender(f"http://127.0.0.1:{service.port_of(name)}", tmp_path / f"{name}.jsonl")
        together.wait()
        return sender.send_all(copies, at_once=15)

    with ThreadPoolExecutor(2) as both:
        answers = [answer for each in both.map(send, ["web", "web.2"]) for answer in each]

    taken = [answer for answer in answers if answer.status == 200]
    refused = {answer.external_id for answer in answers if answer.status == 503}  # by a machine that is too busy
    assert {answer.status for answer in answers} <= {200, 503}
    firsts = Counter(answer.external_id for answer in taken if answer.json["status"] == "accepted")
    assert set(firsts.values()) == {1}
    assert {parcel.external_id for parcel in parcels} - refused <= firsts.keys()
    assert len({(answer.external_id, answer.json["event"]) for answer in taken}) == len(
        {answer.external_id for answer in taken}
    )
    again = [parcel for parcel in parcels if parcel.external_id in refused]
    assert all(answer.accepted for answer in Sender(service.url, tmp_path / "again.jsonl").send_all(again, at_once=4))
    ids = sorted(parcel.external_id for parcel in parcels)
    assert sorted(service.ledger.column("SELECT external_id FROM events")) == ids
    service.wait_until_idle(timeout_s=60)
    _each_was_done_once(twins)
    alerts = service.ledger.column("SELECT key FROM effects WHERE key NOT LIKE 'storm/%'")
    assert len(alerts) == SIMULTANEOUS // DISPUTE_EVERY


def test_kill_9_of_one_of_two_web_instances_under_load_loses_no_2xx_and_what_is_sent_again_counts_once(
    twins: Twins, tmp_path: Path
) -> None:
    service = twins.service
    balancer = Balancer([service.port_of("web"), service.port_of("web.2")])
    balancer.start()
    sender, parcels = Sender(balancer.url, tmp_path / "sender.jsonl"), _parcels()
    sent: list[Parcel] = []

    def make() -> Parcel:
        sent.append(next(parcels))
        return sent[-1]

    try:
        with sender.load(make, at_once=10, pause_s=0.05) as load:
            load.wait_for_accepted(100)
            service["web"].kill()
            load.wait_for_accepted(100)
            service.start("web")
            service["worker"].kill()
            service["sweeper"].kill()
            load.wait_for_accepted(100)
    finally:
        balancer.stop()

    accepted, attempted = sender.record.accepted(), sender.record.attempted()
    log.info("%s sent, %s answered 2xx", len(attempted), len(accepted))
    stored = service.ledger.column("SELECT external_id FROM events")
    assert accepted <= set(stored)
    assert len(stored) == len(set(stored))
    again = Sender(service.url, tmp_path / "again.jsonl").send_all(sent, at_once=10)
    assert {answer.status for answer in again} == {200}
    duplicates = {answer.external_id for answer in again if answer.json["status"] == "duplicate"}
    assert duplicates == attempted & set(stored)
    assert attempted <= service.ledger.external_ids()
    assert service.ledger.is_sound()
    service.wait_until_idle(timeout_s=60)
    _each_was_done_once(twins)
    assert _instances("event accepted", service.logs()["web"]).isdisjoint(
        _instances("event accepted", service.logs()["web.2"])
    )


def _each_was_done_once(twins: Twins) -> None:
    service = twins.service
    assert service.ledger.column("SELECT DISTINCT state FROM deliveries") == ["done"]
    done = Counter(service.ledger.column("SELECT delivery_id FROM attempts WHERE outcome = 'done'"))
    assert done == dict.fromkeys(service.ledger.column("SELECT id FROM deliveries"), 1)
    posts = Counter(post.key for post in twins.slack.posts)
    told_by_itself = "SELECT key FROM effects WHERE folded_into IS NULL"
    assert posts == dict.fromkeys(service.ledger.column(told_by_itself), 1)


def _instances(event: str, printed: str) -> set[str]:
    """Give who says, in a log, that it did something."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    said = {line["instance"] for line in lines if line["event"] == event}
    assert said
    return said


def _parcels() -> Iterator[Parcel]:
    for number in itertools.count():
        yield make_payment() if number % DISPUTE_EVERY else make_dispute()
