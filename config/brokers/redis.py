"""Redis and Valkey as the broker, alone or watched by Sentinels."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from config.brokers.sound import SoundMessages
from config.brokers.url import Account, RedisUrl

NAMESPACE = "hookline"

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.0
HEALTH_CHECK_INTERVAL_S = 15

MAINTENANCE_CHANCE = 50_000
# In a million commands: how often the messages of dead workers are looked for. The default lets them lie for a
# quarter of an hour on a quiet queue.

HEARTBEAT_TIMEOUT_MS = 30_000

PROBE_KEPT_S = 60

NO_SLEEP_MS = 1
# What Dramatiq's consumer may sleep at most when its queue is empty. It makes whole milliseconds of half of it: none.

LOOK_EVERY_S = 0.05


def make_client(url: RedisUrl) -> redis.Redis:
    """Make a Redis client that gives up at once: the sweeper tries again, and knows whether it must.

    redis-py would otherwise repeat scripts whose answer was lost, up to ten times; Dramatiq's are not idempotent.
    Behind Sentinels each new connection asks them who is master, so that it is found again after a failover.
    """
    impatient = _impatient(url)
    own = impatient | {"db": url.database} | _login(url.account)
    if url.path is not None:
        return redis.Redis(unix_socket_path=url.path, **own)
    if url.service is not None:
        sentinels = Sentinel(url.hosts, sentinel_kwargs=impatient | _login(url.sentinel), **own)  # type: ignore[no-untyped-call]  # no annotations
        master: redis.Redis = sentinels.master_for(url.service)  # type: ignore[no-untyped-call]  # ditto
        return master
    ((host, port),) = url.hosts
    return redis.Redis(host=host, port=port, **own)


def _impatient(url: RedisUrl) -> dict[str, Any]:
    options = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": ANSWER_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": HEALTH_CHECK_INTERVAL_S,
    }
    if url.tls is None:
        return options
    check = {"ssl_ca_certs": url.tls.ca_file, "ssl_cert_reqs": "required" if url.tls.verify else "none"}
    return options | {"ssl": True} | check


def _login(account: Account) -> dict[str, Any]:
    return {"username": account.username, "password": account.password}


class Doorbell(Consumer):
    """Dramatiq's consumer, which sleeps between two looks at its queue; here Redis wakes it.

    Waiting is BLMOVE from the head of the queue's list to the head of the same list, which moves nothing and returns
    when there is something, at once for all who wait. It needs Redis 6.2; an older one is looked at every 50 ms. The
    list's name is Dramatiq's, as in its advanced.rst.
    """

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, timeout_ms: int) -> None:
        self._consumer = broker.consumer_class(broker, queue_name, prefetch, NO_SLEEP_MS)
        self._client = broker.client
        self._list = f"{broker.namespace}:{queue_name}"
        self._prefetch = prefetch
        self._timeout_s = min(timeout_ms / 1000, ANSWER_TIMEOUT_S / 2)
        self._acknowledged = threading.Event()
        self._wakes = True

    def __next__(self) -> MessageProxy | None:
        self._acknowledged.clear()
        message: MessageProxy | None = next(self._consumer)
        if message is None:
            self._wait()
        return message

    def _wait(self) -> None:
        if self._consumer.outstanding_message_count >= self._prefetch:
            self._acknowledged.wait(self._timeout_s)
        elif self._wakes:
            self._wait_for_the_bell()
        else:
            time.sleep(LOOK_EVERY_S)

    def _wait_for_the_bell(self) -> None:
        try:
            self._client.blmove(self._list, self._list, self._timeout_s, "LEFT", "LEFT")  # type: ignore[arg-type]  # Redis takes fractions
        except redis.ResponseError as error:
            if isinstance(error, redis.ReadOnlyError) or "unknown command" not in str(error).lower():
                raise
            self._wakes = False

    def ack(self, message: MessageProxy) -> None:
        """Say that a message is done."""
        try:
            self._consumer.ack(message)
        finally:
            self._acknowledged.set()

    def nack(self, message: MessageProxy) -> None:
        """Reject a message."""
        try:
            self._consumer.nack(message)
        finally:
            self._acknowledged.set()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back that were fetched and not begun."""
        self._consumer.requeue(messages)

    def close(self) -> None:
        """Let go of the queue."""
        self._consumer.close()


class RedisDoorbells(RedisBroker):
    """Dramatiq's Redis broker, whose workers pass over messages that would end one of their threads."""

    def __init__(self, url: RedisUrl, middleware: list[Middleware]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # Dramatiq's Redis broker has no annotations
            client=make_client(url),
            namespace=NAMESPACE,
            maintenance_chance=MAINTENANCE_CHANCE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
            middleware=middleware,
        )

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message into its queue. Raises one of BROKER_ERRORS."""
        with self._looking_for_the_master():
            return super().enqueue(message, delay=delay)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Consume a queue; again after each trouble, over new connections: the old ones may lead to a replica."""
        self.client.connection_pool.disconnect(inuse_connections=False)
        return SoundMessages(Doorbell(self, queue_name, prefetch, timeout), queue_name)

    def probe(self) -> None:
        """Write something: one that is full, read-only or cannot save still answers a PING.

        Raises one of BROKER_ERRORS.
        """
        with self._looking_for_the_master():
            self.client.set(f"{NAMESPACE}:probe", 1, ex=PROBE_KEPT_S)

    @contextmanager
    def _looking_for_the_master(self) -> Iterator[None]:
        """Leave a server that was made a replica: it keeps its connections, and its name may mean another one now."""
        try:
            yield
        except redis.ReadOnlyError:
            self.client.connection_pool.disconnect(inuse_connections=False)
            raise
