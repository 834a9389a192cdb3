"""One alert: a title, some facts, a link. Any text may go in; what comes out is harmless and within Slack's limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.context import Context
from handlers.notifications.harmless import escape, mrkdwn, plain
from ledger.event import Event

HEADER_CHARS = 140
# Slack allows 150; it may count a character outside the Basic Multilingual Plane as two.

MAX_FACTS = 10

Block = dict[str, Any]  # as Slack's reference has it

SAFE_URL = re.compile(r"https://[\w.~:/?#\[\]@!$&'()*+,;=%-]{1,2000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go from an alert."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What to tell a team.

    Attributes:
        title: what happened and how much it is about, in one line.
        facts: up to ten, by label; those without a value are left out.
        link: where to see more; left out if it is not a plain https address.

    """

    title: str
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    link: Link | None = None

    def post(self, event: Event, ctx: Context, *, key: str, channel: str) -> None:
        """Plan the alert, once for ever under `key` (see `handlers.notifications.keys`)."""
        ctx.post(event, key=key, channel=channel, text=self.text(event), blocks=self.blocks(event))

    def text(self, event: Event) -> str:
        """Write the alert in one line: what a phone shows, and what a screen reader reads."""
        known = [f"{escape(label)}: {value}" for label, value in self._known()]
        return " | ".join([mrkdwn(_titled(self.title, event)), *known])

    def _known(self) -> list[tuple[str, str]]:
        harmless = [(label, mrkdwn(str(value))) for label, value in self.facts.items() if value is not None]
        return [(label, value) for label, value in harmless if value]

    def blocks(self, event: Event) -> list[Block]:
        """Lay the alert out in Slack's blocks.

        By hand: slack_sdk's models take as long as the rest of a delivery. A test has them judge the result.
        """
        blocks: list[Block] = [{"text": _plain(_titled(self.title, event), HEADER_CHARS), "type": "header"}]
        fields = [_mrkdwn(f"*{escape(label)}*\n{value}") for label, value in self._known()]
        if len(fields) > MAX_FACTS:
            message = f"an alert has {len(fields)} facts, and Slack takes {MAX_FACTS}"
            raise ValueError(message)
        if fields:
            blocks.append({"fields": fields, "type": "section"})
        if self.link and SAFE_URL.fullmatch(self.link.url):
            text = _mrkdwn(f"<{escape(self.link.url)}|{mrkdwn(self.link.label)}>")
            blocks.append({"text": text, "type": "section"})
        blocks.append({"elements": _origin(event), "type": "context"})
        return blocks


def _titled(title: str, event: Event) -> str:
    return f"TEST: {title}" if event.livemode is False else title


def _origin(event: Event) -> list[Block]:
    parts = [f"Hookline event {event.id}", event.external_id, event.type, event.account]
    where = _plain(" · ".join(part for part in parts if part), 1000)
    return [where] if event.livemode is not False else [where, _plain("TEST mode: no real money", HEADER_CHARS)]


def _plain(text: str, max_chars: int) -> Block:
    return {"emoji": False, "text": plain(text, max_chars), "type": "plain_text"}


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack must not go looking for links, channels and people in what strangers wrote.
    return {"text": text, "type": "mrkdwn", "verbatim": True}
