"""Dramatiq's queues for messages that fall due later. Hookline puts nothing there: retry times are columns."""

import time
from collections.abc import Iterable

from dramatiq import Consumer, MessageProxy

DELAYED = ".DQ"
# Dramatiq's ending for the names of these queues.

LOOK_S = 0.5
# How soon a consumer sees that it should end.


class NothingDelayed(Consumer):
    """Consumes a queue in which there is never anything, without asking the broker.

    A worker has as many of these as it has queues, and no switch of Dramatiq's leaves them out; asking in vain was half
    of what an idle worker did.
    """

    def __next__(self) -> MessageProxy | None:
        time.sleep(LOOK_S)
        return None

    def ack(self, message: MessageProxy) -> None:
        """Do nothing: no message comes from here."""

    def nack(self, message: MessageProxy) -> None:
        """Do nothing, likewise."""

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing, likewise."""

    def close(self) -> None:
        """Do nothing: nothing was opened."""
