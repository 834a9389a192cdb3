"""RabbitMQ as the broker: full, hung, killed and emptied under load, and nobody who sends notices."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cli.dev.waiting import descendants
from tests.servers.rabbitmq import RabbitmqServer
from tests.system.broker import make_message
from tests.system.conftest import MakeService
from tests.system.parcel import make_dispute
from tests.system.sender import Sender
from tests.system.service import DEV, Service
from tests.system.slack_stand_in import SlackStandIn
from tests.system.test_forged_messages import UNREADABLE, WRONG
from tests.system.unnoticed import check_handled, check_unnoticed, mixture

QUEUES = ("payments", "notifications", "default", "effects")

BETWEEN = 30
STOPPED_S = 10.0
# What a process manager gives a process before it kills it.

STEERED = [
    make_message([1], [2], options={"throws": "nothing"}),
    make_message([1], options={"eta": 2**53}),
    make_message([1], actor="nobody", options={"retries": 0, "max_retries": 10}),
]


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitmqServer]:
    server = RabbitmqServer()
    server.start()
    yield server
    server.close()


@pytest.mark.timeout(300)  # RabbitMQ starts twice, and ten kinds of trouble take their time
def test_every_accepted_event_is_handled_whatever_happens_to_rabbitmq(
    rabbitmq: RabbitmqServer, service_with: MakeService, slack: SlackStandIn, request: pytest.FixtureRequest
) -> None:
    service = service_with(environ={"RABBITMQ_URL": rabbitmq.url()})
    sender = Sender(service.url, service.place / "sender.jsonl")
    service.start("web")  # it rings, though no worker was ever there
    first = make_dispute()
    sender.send(first)
    service.wait_for(lambda: any(map(rabbitmq.waiting, QUEUES)))
    service.start("worker", "sweeper")
    service.wait_for(lambda: service.ledger.is_done(first.external_id))
    types = rabbitmq.queue_types()
    assert {types[f"{queue}{ending}"] for queue in QUEUES for ending in ("", ".DQ", ".XQ")} == {"quorum"}

    with sender.load(mixture(), at_once=4, pause_s=0.05) as load:
        load.wait_for_accepted(BETWEEN)
        rabbitmq.fill()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.empty()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.freeze()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.thaw()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.kill()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.start()
        load.wait_for_accepted(BETWEEN)
        rabbitmq.delete(*QUEUES)
        load.wait_for_accepted(BETWEEN)

    check_unnoticed(service, sender, load)
    check_handled(service, slack)
    rabbitmq.freeze()
    request.addfinalizer(rabbitmq.thaw)
    assert service["worker"].stop(timeout_s=STOPPED_S) < STOPPED_S
    assert service["sweeper"].stop(timeout_s=STOPPED_S) < STOPPED_S
    assert service["web"].stop(timeout_s=STOPPED_S) < STOPPED_S


def test_what_a_killed_worker_had_fetched_is_handled_once_and_forged_messages_do_nothing(
    rabbitmq: RabbitmqServer, service_with: MakeService, slack: SlackStandIn
) -> None:
    service = service_with(environ={"RABBITMQ_URL": rabbitmq.url()})
    sender = Sender(service.url, service.place / "sender.jsonl")
    service.start("web", "worker")  # no sweeper: what is lost here stays lost
    _check_that_what_a_killed_worker_had_fetched_is_handled_once(rabbitmq, service, sender)
    known = len(slack.posts)
    wrong = [*WRONG, *STEERED, *UNREADABLE]
    service.wait_for(lambda: rabbitmq.waiting("payments") == 0)
    rejected = rabbitmq.waiting("payments.XQ")

    rabbitmq.publish("payments", wrong * 2)  # more than a worker fetches at a time
    disputes = [make_dispute() for _ in range(5)]
    sender.send_all(disputes)

    service.wait_for(lambda: all(service.ledger.is_done(each.external_id) for each in disputes))
    service.wait_for(lambda: rabbitmq.waiting("payments.XQ") > rejected)
    assert service["worker"].runs()
    service.wait_until_idle()
    service["worker"].stop()  # when it has ended, it has done all that it had fetched
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 1 FROM deliveries"))
    assert len(slack.posts) == known + len(disputes)


def _check_that_what_a_killed_worker_had_fetched_is_handled_once(
    rabbitmq: RabbitmqServer, service: Service, sender: Sender
) -> None:
    """It comes back at once, and however often."""
    for pid in descendants(service["worker"].pid):
        os.kill(pid, signal.SIGSTOP)
    disputes = [make_dispute() for _ in range(3)]
    sender.send_all(disputes)
    service["web"].stop()  # when it has ended, it has rung for all
    service.wait_for(lambda: not any(map(rabbitmq.waiting, QUEUES)))
    service["worker"].kill_children()
    service["worker"].wait_for_end()
    service.wait_for(lambda: any(map(rabbitmq.waiting, QUEUES)))
    ids = service.ledger.column("SELECT id FROM deliveries")
    rabbitmq.publish("payments", [make_message(ids)] * 5)

    service.start("web", "worker")

    service.wait_until_idle()
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 1 FROM deliveries"))
    assert service.ledger.value("SELECT count(*) FROM effects") == len(disputes)


@pytest.mark.thorough  # what is embedded when is in tests/config/test_broker_urls.py; test_dev.py sees it used
def test_hookline_dev_with_a_rabbitmq_url_starts_no_valkey(
    rabbitmq: RabbitmqServer, service_with: MakeService, slack: SlackStandIn
) -> None:
    service = service_with(environ={"RABBITMQ_URL": rabbitmq.url()})
    service.start(DEV)
    parcel = make_dispute()
    Sender(service.url, service.place / "sender.jsonl").send(parcel)

    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))

    assert not service.settings.valkey_socket.exists()
    assert not (service.settings.hookline_data_dir / "valkey").exists()
    assert len(slack.posts) == 1
