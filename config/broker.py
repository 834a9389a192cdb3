"""The broker that the environment names: RabbitMQ, Redis, or the embedded Valkey.

Whichever it is, it never keeps anybody waiting and never owns a retry.
"""

from dramatiq import Broker
from dramatiq.middleware import CurrentMessage, Middleware, Retries

from config.brokers.errors import BROKER_ERRORS
from config.brokers.rabbitmq import RabbitmqDoorbells
from config.brokers.redis import RedisDoorbells
from config.brokers.url import parse_rabbitmq_url, parse_redis_url
from config.settings import Settings

__all__ = ["BROKER_ERRORS", "is_reachable", "make_broker"]


def make_broker(settings: Settings) -> Broker:
    """Make the broker. Connects to nothing yet."""
    if settings.rabbitmq_url is not None:
        return RabbitmqDoorbells(parse_rabbitmq_url(settings.rabbitmq_url), _middleware())
    return RedisDoorbells(parse_redis_url(settings.resolved_redis_url), _middleware())


def _middleware() -> list[Middleware]:
    """Give the least there can be.

    Retries is there with none allowed, because without it Dramatiq takes a failed message for a finished one.
    AgeLimit is left out: no delivery may expire. TimeLimit is left out: it would strike while a thread waits for its
    turn to write, and anywhere else; `workers.watch` limits what may really take too long.
    """
    return [CurrentMessage(), Retries(max_retries=0)]


def is_reachable(broker: Broker) -> bool:
    """Say whether the broker takes messages now: one that is full or read-only does not."""
    if not isinstance(broker, RedisDoorbells | RabbitmqDoorbells):
        return True
    try:
        broker.probe()
    except BROKER_ERRORS:
        return False
    return True
