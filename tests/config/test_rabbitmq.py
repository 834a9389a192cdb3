"""RabbitMQ as the broker: a real server, full, hung, gone and back."""

from collections.abc import Iterator
from typing import Any

import pytest

from cli.dev.preflight import check_broker
from config.broker import BROKER_ERRORS, is_reachable, make_broker
from config.errors import BrokerUnreachable
from config.settings import load_settings
from ledger.announce import ring_deliveries
from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.servers.rabbitmq import PASSWORD, USER, VHOST, RabbitmqServer
from tests.servers.tls import Certificate, issue_certificate

QUEUES = ("payments", "payments.DQ", "payments.XQ")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def tls_port() -> int:
    return unused_port()


@pytest.fixture(scope="module")
def server(files: Certificate, tls_port: int) -> Iterator[RabbitmqServer]:
    server = RabbitmqServer({"listeners.ssl.1": f"127.0.0.1:{tls_port}", **files.for_rabbitmq})
    server.start()
    yield server
    server.close()


@pytest.fixture
def broker(server: RabbitmqServer) -> Iterator[Any]:
    broker = make_broker(load_settings({"RABBITMQ_URL": server.url()}))
    yield broker
    broker.close()


def rings(broker: Any) -> bool:
    """Try to ring; what is raised is one of the errors that everybody who rings expects."""
    try:
        ring_deliveries(broker, "payments", [1])
    except BROKER_ERRORS:
        return False
    return True


def test_whoever_rings_first_makes_the_queues_of_the_virtual_host_s_default_type(
    server: RabbitmqServer, broker: Any
) -> None:
    assert rings(broker)

    types = server.queue_types()
    assert {name: types[name] for name in QUEUES} == dict.fromkeys(QUEUES, "quorum")
    assert server.waiting("payments") == 1  # it is there when `enqueue` returns


def test_queues_that_somebody_deleted_are_made_again(server: RabbitmqServer, broker: Any) -> None:
    assert rings(broker)
    server.delete(*QUEUES)

    assert rings(broker)

    assert server.waiting("payments") == 1


def test_a_consumer_that_rabbitmq_has_forgotten_is_made_anew_and_gets_what_waits(
    server: RabbitmqServer, broker: Any
) -> None:
    server.delete(*QUEUES)
    consumer = broker.consume("payments", prefetch=16, timeout=1)
    assert next(consumer) is None
    server.forget_consumers("payments")
    assert rings(broker)

    assert not any(consumer)  # it ends, without a message

    consumer.close()
    anew = broker.consume("payments", prefetch=16, timeout=1)
    assert next(message for message in anew if message is not None).actor_name == "deliver"
    anew.close()


def test_a_queue_of_another_type_is_in_the_way_until_it_is_deleted(server: RabbitmqServer, broker: Any) -> None:
    server.delete(*QUEUES)
    with server.connect() as connection:
        connection.channel().queue_declare("payments", durable=True, arguments={"x-queue-type": "classic"})

    assert not rings(broker)
    assert not is_reachable(broker)

    server.delete("payments")
    assert is_reachable(broker)
    assert rings(broker)


def test_a_rabbitmq_that_is_full_takes_no_messages_until_it_is_not(server: RabbitmqServer, broker: Any) -> None:
    assert is_reachable(broker)
    server.fill()

    wait_until(lambda: not is_reachable(broker))
    assert not rings(broker)

    server.empty()
    wait_until(lambda: is_reachable(broker))
    assert rings(broker)


def test_a_rabbitmq_that_hangs_holds_nobody_up(server: RabbitmqServer, broker: Any) -> None:
    assert rings(broker)
    server.freeze()

    assert not rings(broker)
    for _ in range(1000):  # a second each, if each of them waited
        assert not rings(broker)
    assert not is_reachable(broker)

    server.thaw()
    wait_until(lambda: is_reachable(broker))
    assert rings(broker)


def test_amqps_checks_the_certificate(server: RabbitmqServer, files: Certificate, tls_port: int) -> None:
    url = server.url().replace("amqp://", "amqps://").replace(f":{server.port}", f":{tls_port}")

    for options, answer in ((f"?ssl_ca_certs={files.authority}", True), ("?ssl_cert_reqs=none", True), ("", False)):
        broker: Any = make_broker(load_settings({"RABBITMQ_URL": url + options}))
        assert rings(broker) == answer
        broker.close()


def test_of_several_nodes_one_that_answers_is_enough(server: RabbitmqServer) -> None:
    url = server.url().replace("@", f"@127.0.0.1:{unused_port()},")
    broker: Any = make_broker(load_settings({"RABBITMQ_URL": url}))
    assert rings(broker)
    broker.close()


def test_before_a_start_it_is_said_in_one_sentence_why_rabbitmq_cannot_be_used(server: RabbitmqServer) -> None:
    check_broker(load_settings({"RABBITMQ_URL": server.url()}))
    place = f"127.0.0.1:{server.port}"
    for url, sentence in (
        (f"amqp://{USER}@127.0.0.1:{unused_port()}", "nothing answers at RABBITMQ_URL"),
        (server.url(password="wrong-secret"), f"what answers at RABBITMQ_URL ({place}/{VHOST}) refuses access"),
        (server.url("nowhere"), f"what answers at RABBITMQ_URL ({place}/nowhere) refuses access: .*nowhere not found"),
    ):
        with pytest.raises(BrokerUnreachable) as caught:
            check_broker(load_settings({"RABBITMQ_URL": url}))
        start, _, end = sentence.partition(".*")
        assert str(caught.value).startswith(start)
        assert end in str(caught.value)
        assert not {PASSWORD, "wrong-secret"} & set(str(caught.value).split())


def test_a_rabbitmq_that_hangs_is_given_up_before_a_start(server: RabbitmqServer) -> None:
    server.freeze()
    try:
        with pytest.raises(BrokerUnreachable, match="it does not answer in time"):
            check_broker(load_settings({"RABBITMQ_URL": server.url()}))
    finally:
        server.thaw()
