"""What a worker takes from a queue: messages that are meant for it, and nothing that would end one of its threads."""

from collections.abc import Iterable

import structlog
from dramatiq import Consumer, MessageProxy
from dramatiq.errors import DecodeError

from config.brokers.errors import BROKER_ERRORS, failed

DELAYED = ".DQ"
# Dramatiq's ending for the queues of messages that fall due later. We put nothing there.

STEERING_OPTIONS = frozenset({"eta", "throws"})
# With `eta` a message would hold a place in the worker's memory until then; `throws` makes Dramatiq call isinstance()
# with whatever it holds.

log = structlog.get_logger()


class SoundMessages(Consumer):
    """A consumer that passes over what is no message for its queue.

    Anybody who can write to the broker can write such things. Dramatiq 2.2.1 forgets what it has fetched together
    with an unreadable message, and a worker thread dies of a message that names another queue. What is passed over is
    rejected, because it would otherwise count against what the worker may fetch.
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
        except BROKER_ERRORS as error:
            raise failed(error) from None
        if message is None or _is_sound(message, self._queue_name):
            return message
        log.warning("message passed over", queue=self._queue_name, reason="it is not for this queue")
        self.nack(message)
        return None

    def ack(self, message: MessageProxy) -> None:
        """Say that a message is done; once, because a message that comes again finds nothing to do.

        Dramatiq would try again every five seconds, with a thread that has better things to do, or should end.
        """
        try:
            self._consumer.ack(message)
        except BROKER_ERRORS as error:
            log.info("message not acknowledged", queue=self._queue_name, error=type(error).__name__)

    def nack(self, message: MessageProxy) -> None:
        """Reject a message, if it is whole enough for that."""
        try:
            self._consumer.nack(message)
        except (*BROKER_ERRORS, TypeError, KeyError) as error:
            log.info("message not rejected", queue=self._queue_name, error=type(error).__name__)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back that were fetched and not begun."""
        try:
            self._consumer.requeue(messages)
        except BROKER_ERRORS as error:  # an error that is not Dramatiq's own would cut the worker's shutdown short
            log.warning("messages not put back", queue=self._queue_name, error=type(error).__name__, left_to="sweeper")

    def close(self) -> None:
        """Let go of the queue."""
        self._consumer.close()


def _is_sound(message: MessageProxy, queue_name: str) -> bool:
    parts: list[tuple[object, type | tuple[type, ...]]] = [
        (message.actor_name, str),
        (message.args, (list, tuple)),
        (message.kwargs, dict),
        (message.options, dict),
    ]
    return (
        message.queue_name == queue_name
        and all(isinstance(part, kind) for part, kind in parts)
        and (queue_name.endswith(DELAYED) or STEERING_OPTIONS.isdisjoint(message.options))
    )
