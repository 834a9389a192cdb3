"""The Dramatiq broker, set up so that it never keeps anybody waiting and never owns a retry."""

from collections.abc import Iterable

import redis
import structlog
from dramatiq import Broker, Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DecodeError, DramatiqError
from dramatiq.middleware import CurrentMessage, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.errors import InvalidSettings
from config.settings import Settings

BROKER_ERRORS = (redis.RedisError, DramatiqError, OSError)
# What a broker that is away, full or hung makes `enqueue` raise.

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.0
HEALTH_CHECK_INTERVAL_S = 15

MAINTENANCE_CHANCE = 50_000
# In a million commands: how often the messages of dead workers are looked for. The default lets them lie for a
# quarter of an hour on a quiet queue.

HEARTBEAT_TIMEOUT_MS = 30_000

log = structlog.get_logger()


def make_client(url: str) -> redis.Redis:
    """Make a Redis client that gives up at once: the sweeper tries again, and knows whether it must.

    redis-py would otherwise repeat scripts whose answer was lost, up to ten times; Dramatiq's are not idempotent.

    Raises:
        InvalidSettings: the URL is not one that redis-py knows.

    """
    try:
        return redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            health_check_interval=HEALTH_CHECK_INTERVAL_S,
        )
    except ValueError:
        problem = "REDIS_URL cannot be used: it should look like redis://host:6379/0, rediss://… or unix:///path"
        raise InvalidSettings([problem]) from None


def make_broker(settings: Settings) -> Broker:
    """Make the broker. Connects to nothing yet.

    Retries is there with none allowed, because without it Dramatiq takes a failed message for a finished one.
    AgeLimit is left out: no delivery may expire. TimeLimit is left out: it would strike while a thread waits for its
    turn to write, and anywhere else; `workers.watch` limits what may really take too long.
    """
    return DoorbellBroker(  # type: ignore[no-untyped-call]  # Dramatiq's Redis broker has no annotations
        client=make_client(settings.resolved_redis_url),
        namespace="hookline",
        maintenance_chance=MAINTENANCE_CHANCE,
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        middleware=[CurrentMessage(), Retries(max_retries=0)],
    )


class DoorbellBroker(RedisBroker):
    """Dramatiq's Redis broker, whose workers pass over messages that would end one of their threads."""

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Consume a queue."""
        return _SoundMessages(super().consume(queue_name, prefetch, timeout), queue_name)


class _SoundMessages(Consumer):
    """A consumer that passes over what is no message for its queue.

    Anybody who can write to Redis can write such things. Dramatiq 2.2.1 forgets what it has fetched together with an
    unreadable message, and a worker thread dies of a message that names another queue.
    """

    def __init__(self, consumer: Consumer, queue_name: str) -> None:
        self._consumer = consumer
        self._queue_name = queue_name

    def __next__(self) -> MessageProxy | None:
        try:
            message = next(self._consumer)
        except (DecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
            log.warning("message passed over", queue=self._queue_name, reason=type(error).__name__)
            return None
        if message is None or _is_sound(message, self._queue_name):
            return message
        log.warning("message passed over", queue=self._queue_name, reason="it is not for this queue")
        return None

    def ack(self, message: MessageProxy) -> None:
        self._consumer.ack(message)

    def nack(self, message: MessageProxy) -> None:
        self._consumer.nack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._consumer.requeue(messages)

    def close(self) -> None:
        self._consumer.close()


def _is_sound(message: MessageProxy, queue_name: str) -> bool:
    parts: list[tuple[object, type | tuple[type, ...]]] = [
        (message.actor_name, str),
        (message.args, (list, tuple)),
        (message.kwargs, dict),
        (message.options, dict),
    ]
    return message.queue_name == queue_name and all(isinstance(part, kind) for part, kind in parts)


def is_reachable(broker: Broker) -> bool:
    """Say whether the broker answers now."""
    try:
        return not isinstance(broker, RedisBroker) or bool(broker.client.ping())
    except BROKER_ERRORS:
        return False
