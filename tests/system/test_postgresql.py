"""PostgreSQL as the ledger: a server that stops, crashes or hangs costs refusals for a while, and no event."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psycopg
import pytest

from tests.cli.dev.waiting import descendants
from tests.servers.postgresql import PostgresServer
from tests.system.conftest import House, run_house
from tests.system.parcel import Parcel, make_dispute, make_parcel, make_payment
from tests.system.sender import Load, Sender
from tests.system.service import OURS, Service
from tests.system.slack_stand_in import ENGINEERING, FINANCE, SlackStandIn

log = logging.getLogger(__name__)

DISPUTE_EVERY = 10
SLACK_PATIENCE_S = 3.0
AT_ONCE_S = 2.0
# Less than the time in which a commit is hoped for: nobody waited for a server that was not there.


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server as production has it: what it has committed is on disk."""
    server = PostgresServer(options={})
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def house(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[House]:
    """A service with its ledger there, for all tests of this file: they know their own events."""
    place = tmp_path_factory.mktemp("postgresql")
    yield from run_house(place, {"DATABASE_URL": server.create_database("hookline")}, nursery=nursery)


@pytest.fixture
def service(house: House) -> Service:
    return house.service


@pytest.fixture
def sender(house: House) -> Sender:
    return house.sender


@pytest.fixture
def slack(house: House) -> SlackStandIn:
    return house.slack


def test_what_each_source_sends_is_stored_and_told_in_slack(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    parcels = [
        make_dispute(),
        make_parcel("github", "workflow_run.completed"),
        make_parcel("slack", "app_mention"),
        make_parcel("slack", "slash_command"),
    ]

    answers = sender.send_all(parcels)

    assert {answer.status for answer in answers} == {200}
    service.wait_until_idle()
    for parcel in parcels:
        assert service.ledger.event(parcel.external_id)["body"] == parcel.body
    assert service.ledger.column("SELECT amount FROM disputes") == [4900]
    assert {post.channel for post in slack.posts} == {FINANCE, ENGINEERING}
    assert len(slack.posts) == 2
    again = sender.send_all(parcels[:3])
    assert [answer.json["status"] for answer in again] == ["duplicate"] * 3
    assert service.cli("events", "list", "--state", "done").stdout.count("charge.dispute.created") == 1


def test_a_server_that_stops_crashes_and_loses_a_process_under_load_loses_no_event(
    service: Service, server: PostgresServer, sender: Sender, slack: SlackStandIn
) -> None:
    before = _processes(service)
    parcels = _parcels()
    with sender.load(lambda: next(parcels), at_once=8, pause_s=0.1) as load:
        load.wait_for_accepted(50)
        for end in (server.stop, server.stop_at_once):
            end()
            load.wait_for_refused(20)
            server.start()
            load.wait_for_accepted(50, timeout_s=60)
        server.kill_backends()
        load.wait_for_refused(1)
        load.wait_for_accepted(50, timeout_s=60)
    service.wait_until_idle(timeout_s=100)

    assert {(answer.status, answer.retry_after) for answer in load.answers} == {(200, None), (503, "5")}
    log.info("%s accepted, refused in %s", load.accepted(), _refused_in(load))
    assert median(_refused_in(load)) < AT_ONCE_S
    assert sender.record.accepted() <= service.ledger.external_ids() <= sender.record.attempted()
    assert service.ledger.column("SELECT DISTINCT state FROM deliveries") == ["done"]
    assert service.ledger.column("SELECT DISTINCT state FROM effects") == ["sent"]
    told_by_itself = "SELECT key FROM effects WHERE folded_into IS NULL"
    assert {post.key for post in slack.posts} == set(service.ledger.column(told_by_itself))
    assert _processes(service) == before


def test_a_table_that_somebody_locks_costs_refusals_in_time_and_is_used_again_afterwards(
    service: Service, server: PostgresServer, sender: Sender
) -> None:
    with psycopg.connect(server.url("hookline")) as another:
        another.execute("LOCK TABLE events")

        locked = sender.send_all([make_payment() for _ in range(5)])

        another.rollback()
    assert {(answer.status, answer.retry_after) for answer in locked} == {(503, "5")}
    assert median(answer.took_s for answer in locked) < SLACK_PATIENCE_S
    service.wait_for(lambda: sender.send(make_payment()).status == 200)
    assert sender.record.accepted() <= service.ledger.external_ids()


def _processes(service: Service) -> set[int]:
    """Give the process ids of all that was started."""
    return {pid for name in OURS for pid in (service[name].pid, *descendants(service[name].pid))}


def _refused_in(load: Load) -> list[float]:
    return [answer.took_s for answer in load.answers if not answer.accepted]


def _parcels() -> Iterator[Parcel]:
    for number in itertools.count():
        yield make_payment() if number % DISPUTE_EVERY else make_dispute()
