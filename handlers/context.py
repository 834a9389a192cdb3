"""What a handler is given beside the event: the book to write in, and effects to plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

from config.rules import Rules, load_rules
from ledger import effects, look_ups
from ledger.effects import NOTHING_SPECIAL, About
from ledger.event import Event
from ledger.store import Transaction

MAX_KEY_CHARS = 600
# What the column holds.


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Where the teams read: Slack channel names or ids."""

    finance: str
    engineering: str


@cache
def usual_rules() -> Rules:
    """Give the rules of a Hookline whose owner made none."""
    return load_rules(None, finance="#finance", engineering="#engineering")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of one delivery.

    Attributes:
        db: the transaction. What is written in it commits together with the delivery's "done", or not at all.
        channels: where the teams read.
        delivery_id: the delivery that runs.
        now: Unix seconds, the same during the whole run.
        rules: for alerts, by kind.
        allowed_users: the Slack users who may press buttons; `*` is everybody.
        asks_stripe: the modes (`livemode`) in which Stripe can be asked for what an event does not say.
        again_for: the replay that does effects again which are recorded already; mostly None.
        planned: the effects that this run planned, as far as they are written (`ledger.gathered`).
        skipped: the keys of those that it did not plan, because they are recorded already; ditto.

    """

    db: Transaction
    channels: Channels
    delivery_id: int
    now: float
    rules: Rules = field(default_factory=usual_rules)
    allowed_users: frozenset[str] = frozenset()
    asks_stripe: frozenset[bool] = frozenset()
    again_for: int | None = None
    planned: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def look_up(self, event: Event) -> None:
        """Have Stripe asked about what this event tells of, after the commit; where nobody can, nothing happens."""
        if event.livemode in self.asks_stripe:
            look_ups.request(self.db, event_id=event.id, now=self.now)

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

        In a replay that was told to do effects again, the key carries that replay's id and the message says so.
        """
        self.plan(event, key=key, channel=channel, message={"text": text, "blocks": list(blocks)})

    def plan(
        self,
        event: Event,
        *,
        key: str,
        channel: str,
        message: Mapping[str, Any],
        parent: str | None = None,
        held_until: float | None = None,
        about: About = NOTHING_SPECIAL,
        of_text: bool = False,
    ) -> None:
        """Plan a message as `post` does: in the thread of another one, not before a time, one of many alike.

        One that is all text (`of_text`), and true and false, is written faster.
        """
        if self.again_for is not None:
            key, message = _key_again(key, self.again_for), _marked(message, self.again_for)
        effects.plan(
            self.db,
            event_id=event.id,
            delivery_id=self.delivery_id,
            key=key,
            channel=channel,
            message=message,
            now=self.now,
            note=self._note,
            parent=parent,
            held_until=held_until,
            about=about,
            of_text=of_text,
        )

    def show(
        self,
        event: Event,
        *,
        key: str,
        channel: str,
        message: Mapping[str, Any],
        held_until: float | None = None,
        about: About = NOTHING_SPECIAL,
        stays_folded: bool = False,
    ) -> None:
        """Say how the message under `key` must read from now on: it is posted, or changed where it is.

        In a replay that was told to do effects again, a copy of it is posted instead.
        """
        if self.again_for is not None:
            self.plan(event, key=key, channel=channel, message=message, held_until=held_until)
            return
        effect_id = effects.show(
            self.db,
            event_id=event.id,
            delivery_id=self.delivery_id,
            key=key,
            channel=channel,
            message=message,
            now=self.now,
            held_until=held_until,
            about=about,
            stays_folded=stays_folded,
        )
        self._note(key, effect_id)

    def _note(self, key: str, effect_id: int | None) -> None:
        if effect_id is None:
            self.skipped.append(key)
        else:
            self.planned.append(effect_id)


def _key_again(key: str, replay_id: int) -> str:
    again = f"{key}/replay/{replay_id}"
    return again if len(again) <= MAX_KEY_CHARS else sha256(again.encode()).hexdigest()


def _marked(message: Mapping[str, Any], replay_id: int) -> dict[str, Any]:
    """Say in a message that somebody repeated it on purpose: nobody must take it for news."""
    mark = f"Repeated on purpose (replay {replay_id})"
    block = {"type": "context", "elements": [{"type": "plain_text", "text": mark, "emoji": False}]}
    blocks = [*message["blocks"], block] if message["blocks"] else []
    return {**message, "text": f"{message['text']} | {mark}", "blocks": blocks}
