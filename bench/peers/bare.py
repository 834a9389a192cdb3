"""Bare Dramatiq: one actor that does nothing, with Dramatiq's own defaults. `dramatiq bench.peers.bare:setup`."""

import os

import dramatiq
from dramatiq import Actor, Broker
from dramatiq.brokers.redis import RedisBroker

QUEUE = "bare"


def setup() -> None:
    """Give Dramatiq its broker."""
    broker = make_broker(os.environ["REDIS_URL"])
    declare(broker)
    dramatiq.set_broker(broker)


def make_broker(url: str) -> Broker:
    """Make the broker, as Dramatiq's guide does."""
    return RedisBroker(url=url)  # type: ignore[no-untyped-call]  # Dramatiq has no annotations here


def declare(broker: Broker) -> Actor[[int], None]:
    """Declare the actor."""
    return dramatiq.actor(actor_name="do_nothing", queue_name=QUEUE, broker=broker)(_do_nothing)


def _do_nothing(_number: int) -> None:
    """Do nothing."""
