"""RabbitMQ as the broker."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Middleware
from pika import PlainCredentials, SSLOptions
from pika.exceptions import AMQPError

from config.brokers.errors import BROKER_ERRORS, failed
from config.brokers.line import Line
from config.brokers.sound import SoundMessages
from config.brokers.url import Account, RabbitmqUrl

CONNECT_TIMEOUT_S = 0.5
HANDSHAKE_TIMEOUT_S = 1.0
# Connect, TLS and AMQP's greeting together.

BLOCKED_TIMEOUT_S = 1.0
# How long a connection stays that RabbitMQ has stopped reading because it is full.

HEARTBEAT_S = 5
# RabbitMQ drops us after 10 s of silence, pika drops RabbitMQ after 20.

QUIET_MS = 500
# RabbitMQ pushes messages: a consumer only wakes up this often to see whether it should end.

CLOSE_TIMEOUT_S = 0.5

PROBE_QUEUE = "hookline.probe"
# There is no such queue, so RabbitMQ confirms what is sent to it and keeps nothing.

log = structlog.get_logger()


def connection_parameters(url: RabbitmqUrl) -> list[dict[str, Any]]:
    """Give pika's parameters for each host, in the order in which they are tried."""
    common = {
        "virtual_host": url.vhost,
        "credentials": _credentials(url.account),
        "heartbeat": HEARTBEAT_S,
        "socket_timeout": CONNECT_TIMEOUT_S,
        "stack_timeout": HANDSHAKE_TIMEOUT_S,
        "blocked_connection_timeout": BLOCKED_TIMEOUT_S,
        "connection_attempts": 1,
    }
    if url.tls is not None:
        common["ssl_options"] = SSLOptions(url.tls.make_context())
    return [common | {"host": host, "port": port} for host, port in url.hosts]


def _credentials(account: Account) -> PlainCredentials:
    return PlainCredentials(account.username or "guest", account.password or "guest")


class RabbitmqDoorbells(RabbitmqBroker):
    """Dramatiq's RabbitMQ broker, which waits for RabbitMQ's confirmation, but not for long.

    Dramatiq has a connection for each thread that publishes, on which nothing answers RabbitMQ's heartbeats, and waits
    as long as they take. Here one thread publishes for all (`Line`).

    Queues are declared as Dramatiq declares them, without a type, so that the virtual host's default type holds.
    """

    def __init__(self, url: RabbitmqUrl, middleware: list[Middleware]) -> None:
        super().__init__(confirm_delivery=True, parameters=connection_parameters(url), middleware=middleware)
        self._line = Line(idle=self._keep_alive, leave=self._hang_up)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message into its queue, and wait until RabbitMQ has it. Raises one of BROKER_ERRORS."""
        self._do(partial(super().enqueue, message, delay=delay))
        return message

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Consume a queue, which is made if it is not there."""
        self._do(partial(self.declare_queue, queue_name, ensure=True))
        try:
            consumer = super().consume(queue_name, prefetch, max(timeout, QUIET_MS))
        except BROKER_ERRORS as error:
            raise failed(error) from None
        return SoundMessages(_PromptlyClosed(consumer), queue_name)

    def probe(self) -> None:
        """Publish something: RabbitMQ still accepts connections when it is full.

        Twice, because it reads the first message that makes it stop reading. And make the queues that could not be made
        before: another type of queue may be in their way. Raises one of BROKER_ERRORS.
        """
        for queue_name in tuple(self.queues_pending):
            self._do(partial(self.declare_queue, queue_name, ensure=True))
        self._do(self._publish_nothing)
        self._do(self._publish_nothing)

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            self._line.do(work)
        except (*BROKER_ERRORS, AssertionError) as error:  # pika asserts that nothing happens out of order
            raise failed(error) from None

    def _publish_nothing(self) -> None:
        try:
            self.channel.basic_publish(exchange="", routing_key=PROBE_QUEUE, body=b"")
        except AMQPError:
            del self.connection
            raise

    def _keep_alive(self) -> None:
        """Answer heartbeats. Only the line's thread has a connection here; consumers have their own."""
        if not self.connections:
            return
        try:
            self.connection.process_data_events()
        except (*BROKER_ERRORS, AssertionError):
            self._hang_up()

    def _hang_up(self) -> None:
        del self.connection


class _PromptlyClosed(Consumer):
    """A consumer whose closing takes half a second at most, also while RabbitMQ hangs.

    pika waits for RabbitMQ's farewell until it has missed enough heartbeats, and a worker has eight consumers.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __next__(self) -> MessageProxy | None:
        return next(self._consumer)

    def ack(self, message: MessageProxy) -> None:
        self._consumer.ack(message)

    def nack(self, message: MessageProxy) -> None:
        self._consumer.nack(message)

    def requeue(self, messages: object) -> None:
        """Do nothing: RabbitMQ puts back what was not acknowledged when the connection closes."""

    def close(self) -> None:
        closing = threading.Thread(target=self._close, name="goodbye", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)

    def _close(self) -> None:
        try:
            self._consumer.close()
        except Exception as error:  # noqa: BLE001  # whatever is said at a goodbye must not end the process
            log.debug("queue left without goodbye", error=type(error).__name__)
