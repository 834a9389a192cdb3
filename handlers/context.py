"""What a handler is given beside the event: the book to write in, and effects to plan."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger import effects
from ledger.event import Event
from ledger.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Where the teams read: Slack channel names or ids."""

    finance: str
    engineering: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of one delivery.

    Attributes:
        db: the transaction. What is written in it commits together with the delivery's "done", or not at all.
        channels: where the teams read.
        delivery_id: the delivery that runs.
        now: Unix seconds, the same during the whole run.

    """

    db: Transaction
    channels: Channels
    delivery_id: int
    now: float
    planned: list[int] = field(default_factory=list)

    def post(
        self,
        event: Event,
        *,
        key: str,
        channel: str,
        text: str,
        blocks: Sequence[dict[str, Any]],
    ) -> None:
        """Plan one message to a Slack channel, once for ever under `key`.

        `key` is a business key: made of what the message is about (payment, dispute, run; account, livemode),
        never of the delivery, because providers announce one fact under several ids. A second plan under
        the same key does nothing. The message is sent after the commit, by `workers.send`.
        """
        message = {"text": text, "blocks": list(blocks)}
        effect_id = effects.plan(
            self.db,
            event_id=event.id,
            delivery_id=self.delivery_id,
            key=key,
            channel=channel,
            message=message,
            now=self.now,
        )
        if effect_id is not None:
            self.planned.append(effect_id)
