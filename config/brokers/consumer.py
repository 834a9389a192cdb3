"""How a worker consumes a queue of RabbitMQ's: it is not forgotten, and not held up when it leaves."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from dramatiq import Consumer, MessageProxy

from config.brokers.errors import BROKER_ERRORS

ASK_AFTER_S = 5.0
# Without a message, and without one in hand.

CLOSE_TIMEOUT_S = 0.2

log = structlog.get_logger()


class RabbitmqConsumer(Consumer):
    """Dramatiq's consumer of RabbitMQ, which may be forgotten by it and waits for its farewell.

    Where a quorum queue is deleted and made again at once, a consumer of the old one may hear nothing of it (RabbitMQ
    3.10, one time in ten under load): RabbitMQ counts messages as given to it that never arrive, until it may fetch no
    more.
    """

    def __init__(self, consumer: Any, queue_name: str, count: Callable[[str], int]) -> None:  # noqa: ANN401  # Dramatiq's class for it is private
        """Take what is needed.

        Args:
            consumer: Dramatiq's, with the `known_tags` of the messages in hand.
            queue_name: what it consumes.
            count: how many messages wait in a queue; not for long, because a worker that ends waits for its consumers.
                Raises one of BROKER_ERRORS.

        """
        self._consumer = consumer
        self._queue_name = queue_name
        self._count = count
        self._quiet_since = time.monotonic()
        self._left_lying = False

    def __next__(self) -> MessageProxy | None:
        """Give a message, or None after a while without any.

        Raises:
            StopIteration: messages wait and do not come. Dramatiq then consumes the queue anew.

        """
        message: MessageProxy | None = next(self._consumer)
        if message is not None:
            self._left_lying = False
        elif self._consumer.known_tags or time.monotonic() - self._quiet_since < ASK_AFTER_S:
            return None
        elif self._are_left_lying():
            log.warning("forgotten by RabbitMQ", queue=self._queue_name)
            raise StopIteration
        self._quiet_since = time.monotonic()
        return message

    def ack(self, message: MessageProxy) -> None:
        """Say that a message is done."""
        self._consumer.ack(message)

    def nack(self, message: MessageProxy) -> None:
        """Reject a message."""
        self._consumer.nack(message)

    def requeue(self, messages: object) -> None:
        """Do nothing: RabbitMQ puts back what was not acknowledged when the connection closes."""

    def close(self) -> None:
        """Let go of the queue, without waiting for long, also while RabbitMQ hangs.

        pika waits for RabbitMQ's farewell until it has missed enough heartbeats, and a worker closes ten consumers one
        after the other.
        """
        closing = threading.Thread(target=self._close, name="goodbye", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)

    def _are_left_lying(self) -> bool:
        """Look whether messages wait, and did so the last time: what has just come in is on its way to us."""
        before, self._left_lying = self._left_lying, self._is_any_waiting()
        return before and self._left_lying

    def _is_any_waiting(self) -> bool:
        try:
            return self._count(self._queue_name) > 0
        except BROKER_ERRORS:
            return False  # RabbitMQ has other troubles

    def _close(self) -> None:
        try:
            self._consumer.close()
        except Exception as error:  # noqa: BLE001  # whatever is said at a goodbye must not end the process
            log.debug("queue left without goodbye", error=type(error).__name__)
