"""Show an alert on the console, for a Hookline that has no Slack to send it to."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from config.logs import CONTROL
from ledger.effects import Effect

LABEL = re.compile(r"^\*(.+)\*\n")
LINK = re.compile(r"<(https://[^|>]+)\|([^>]+)>")

HINT = "kept, not sent: set SLACK_BOT_TOKEN to post alerts"


def render(effect: Effect) -> str:
    """Draw the message as text, framed so that it stands out between log lines."""
    return draw(f"{effect.channel}{_what(effect)}", effect.message, foot=HINT)


def _what(effect: Effect) -> str:
    """Tell what changes a message, or belongs to one, from what is new."""
    if effect.parent is not None:
        return f", in the thread of {effect.parent}"
    changed = effect.revision > 0 and effect.attempts > 1
    return f", changed: {effect.key}" if changed else ""


def draw(channel: str, message: Mapping[str, Any], *, foot: str) -> str:
    """Draw a message to a channel, with a line of ours below it."""
    lines = [line for block in message["blocks"] for line in _block(block)] or [str(message["text"])]
    body = [f"│ {CONTROL.sub(' ', line)}" for line in lines]
    return "\n".join([f"┌─ {channel}", *body, f"└─ {foot}"])


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    for part in (block.get("text"), *block.get("fields", []), *block.get("elements", [])):
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, dict):  # a button has its label one level deeper
            text = text.get("text")
        if isinstance(text, str):
            url = part.get("url")
            yield from _as_plain(f"{text}: {url}" if isinstance(url, str) else text).split("\n")


def _as_plain(mrkdwn: str) -> str:
    return html.unescape(LINK.sub(r"\2: \1", LABEL.sub(r"\1: ", mrkdwn)))
