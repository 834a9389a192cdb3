"""Doorbells."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Broker, Message
from dramatiq.brokers.stub import StubBroker

from config.broker import BROKER_ERRORS, is_reachable, make_broker
from config.metrics import uncounted
from config.settings import load_settings
from ledger.announce import Announcer, ring_deliveries
from tests.cli.dev.waiting import wait_until
from tests.servers.redis import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def broker(server: RedisServer) -> Iterator[Broker]:
    broker = make_broker(load_settings({"REDIS_URL": server.url}))
    yield broker
    broker.close()


def in_queue(broker: Any, queue: str = "payments") -> list[list[int]]:
    """Read the ids in each message of a queue, in order."""
    names = broker.client.lrange(f"hookline:{queue}", 0, -1)
    return [Message.decode(broker.client.hget(f"hookline:{queue}.msgs", name)).args[0] for name in names]


@pytest.mark.parametrize(
    ("count", "messages"),
    [(1, 1), (4, 4), (5, 1), (256, 1), (257, 2), (1024, 4), (1025, 5)],
)
def test_few_ids_travel_one_by_one_and_many_travel_together(count: int, messages: int) -> None:
    broker = StubBroker(middleware=[])
    broker.declare_queue("payments")
    ring_deliveries(broker, "payments", list(range(count)))
    assert broker.queues["payments"].qsize() == messages
    broker.close()


def test_every_id_is_announced_once(broker: Broker) -> None:
    announcer = Announcer(lambda: broker, metrics=uncounted())
    announcer.start()
    for start in range(0, 300, 3):
        announcer.ring({"payments": [start, start + 1], "default": [start + 2]})
    announcer.stop()
    ids = [each for queue in ("payments", "default") for message in in_queue(broker, queue) for each in message]
    assert sorted(ids) == list(range(300))


def test_under_load_what_is_committed_while_the_announcer_rests_travels_together() -> None:
    broker = StubBroker(middleware=[])
    broker.declare_queue("payments")
    announcer = Announcer(lambda: broker, metrics=uncounted())
    announcer.start()
    for each in range(400):
        announcer.ring({"payments": [each]})
    announcer.stop()
    messages = [Message.decode(raw) for raw in broker.queues["payments"].queue]
    assert sorted(each for message in messages for each in message.args[0]) == list(range(400))
    assert len(messages) < 100
    broker.close()


def test_a_message_holds_ids_and_nothing_else(broker: Any) -> None:
    ring_deliveries(broker, "payments", [7])
    (raw,) = broker.client.hgetall("hookline:payments.msgs").values()
    message = Message.decode(raw)
    assert (message.actor_name, message.args, message.kwargs) == ("deliver", ([7],), {})
    assert set(message.options) == {"redis_message_id"}


def test_a_broker_that_hangs_holds_nobody_up(server: RedisServer, broker: Broker) -> None:
    announcer = Announcer(lambda: broker, metrics=uncounted())
    announcer.start()
    server.freeze()
    started = time.monotonic()
    for each in range(5_000):
        announcer.ring({"payments": [each]})
    assert time.monotonic() - started < 60  # one that waited for it would take hours
    assert not is_reachable(broker)
    server.thaw()
    announcer.stop()


def test_after_a_broker_was_away_new_doorbells_ring_again(server: RedisServer, broker: Any) -> None:
    announcer = Announcer(lambda: broker, metrics=uncounted())
    announcer.start()
    server.kill()
    with pytest.raises(BROKER_ERRORS):
        ring_deliveries(broker, "payments", [1])
    announcer.ring({"payments": [2]})
    server.start()

    def rings_again() -> bool:
        announcer.ring({"payments": [3]})
        return bool(in_queue(broker))

    wait_until(rings_again)
    announcer.stop()
