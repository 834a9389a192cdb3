"""RabbitMQ as the broker."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dramatiq import Consumer, Message
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Middleware
from pika import PlainCredentials, SSLOptions
from pika.exceptions import AMQPError

from config.brokers.consumer import RabbitmqConsumer
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

PROBE_QUEUE = "hookline.probe"
# There is no such queue, so RabbitMQ confirms what is sent to it and keeps nothing.


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
        return SoundMessages(RabbitmqConsumer(consumer, queue_name, self.count_waiting), queue_name)

    def count_waiting(self, queue_name: str) -> int:
        """Count the messages in a queue that no worker has fetched. Raises one of BROKER_ERRORS."""
        counted: list[int] = []
        self._do(lambda: counted.append(self._count(queue_name)))
        return counted[0]

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

    def _count(self, queue_name: str) -> int:
        try:
            return int(self.channel.queue_declare(queue_name, passive=True).method.message_count)
        except AMQPError:  # there is no such queue: that closes the channel
            del self.connection
            raise

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
