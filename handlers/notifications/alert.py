"""One alert: a title, some facts, a link. Any text may go in; what comes out is harmless and within Slack's limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, PlainTextObject, SectionBlock

from handlers.context import Context
from handlers.notifications.harmless import escape, mrkdwn, plain
from ledger.event import Event

HEADER_CHARS = 140
# Slack allows 150; it may count a character outside the Basic Multilingual Plane as two.

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
        blocks = [block.to_dict() for block in self._blocks(event)]  # to_dict checks Slack's limits
        ctx.post(event, key=key, channel=channel, text=self.text(event), blocks=blocks)

    def text(self, event: Event) -> str:
        """Write the alert in one line: what a phone shows, and what a screen reader reads."""
        known = [f"{escape(label)}: {value}" for label, value in self._known()]
        return " | ".join([mrkdwn(_titled(self.title, event)), *known])

    def _known(self) -> list[tuple[str, str]]:
        harmless = [(label, mrkdwn(str(value))) for label, value in self.facts.items() if value is not None]
        return [(label, value) for label, value in harmless if value]

    def _blocks(self, event: Event) -> list[Block]:
        blocks: list[Block] = [HeaderBlock(text=_plain(_titled(self.title, event), HEADER_CHARS))]
        fields = [_mrkdwn(f"*{escape(label)}*\n{value}") for label, value in self._known()]
        if fields:
            blocks.append(SectionBlock(fields=fields))
        if self.link and SAFE_URL.fullmatch(self.link.url):
            blocks.append(SectionBlock(text=_mrkdwn(f"<{escape(self.link.url)}|{mrkdwn(self.link.label)}>")))
        blocks.append(ContextBlock(elements=_origin(event)))
        return blocks


def _titled(title: str, event: Event) -> str:
    return f"TEST: {title}" if event.livemode is False else title


def _origin(event: Event) -> list[PlainTextObject]:
    parts = [f"Hookline event {event.id}", event.external_id, event.type, event.account]
    where = _plain(" · ".join(part for part in parts if part), 1000)
    return [where] if event.livemode is not False else [where, _plain("TEST mode: no real money", HEADER_CHARS)]


def _plain(text: str, max_chars: int) -> PlainTextObject:
    return PlainTextObject(text=plain(text, max_chars), emoji=False)


def _mrkdwn(text: str) -> MarkdownTextObject:
    # verbatim: Slack must not go looking for links, channels and people in what strangers wrote.
    return MarkdownTextObject(text=text, verbatim=True)
