"""Slack's blocks, as far as alerts are made of them: laid out by hand, within Slack's limits (Block Kit reference).

By hand: slack_sdk's models take as long as the rest of a delivery. A test has them judge the result.
"""

import re
from typing import Any

from handlers.notifications.harmless import escape, mrkdwn, plain

Block = dict[str, Any]  # as Slack's reference has it

HEADER_CHARS = 140
# Slack allows 150; it may count a character outside the Basic Multilingual Plane as two.

MAX_FACTS = 10
MAX_SECTION_CHARS = 3_000
MAX_BUTTON_CHARS = 75
MAX_VALUE_CHARS = 2_000

SAFE_URL = re.compile(r"https://[\w.~:/?#\[\]@!$&'()*+,;=%-]{1,2000}", re.ASCII)


def header(text: str) -> Block:
    """Make a headline."""
    return {"text": plain_text(text, HEADER_CHARS), "type": "header"}


def fields(known: list[tuple[str, str]]) -> Block:
    """Make a table of labels and harmless values.

    Raises:
        ValueError: there are more of them than Slack takes.

    """
    if len(known) > MAX_FACTS:
        message = f"an alert has {len(known)} facts, and Slack takes {MAX_FACTS}"
        raise ValueError(message)
    return {"fields": [mrkdwn_text(f"*{escape(label)}*\n{value}") for label, value in known], "type": "section"}


def mrkdwn_section(harmless: str) -> Block:
    """Make a paragraph of text that was made harmless."""
    return {"text": mrkdwn_text(harmless[:MAX_SECTION_CHARS]), "type": "section"}


def context(*texts: str) -> Block:
    """Make a line of small print."""
    return {"elements": [plain_text(each, 1_000) for each in texts], "type": "context"}


def link(url: str, label: str) -> str | None:
    """Write a link, if it is a plain https address."""
    return f"<{escape(url)}|{mrkdwn(label)}>" if SAFE_URL.fullmatch(url) else None


def button(label: str, *, action: str, value: str, style: str | None = None) -> Block:
    """Make a button; `value` comes back with a press."""
    made = {
        "action_id": action,
        "text": plain_text(label, MAX_BUTTON_CHARS),
        "type": "button",
        "value": value[:MAX_VALUE_CHARS],
    }
    return made if style is None else made | {"style": style}


def link_button(label: str, *, action: str, url: str) -> Block | None:
    """Make a button that opens a page, if its address is a plain https one."""
    if not SAFE_URL.fullmatch(url):
        return None
    return {"action_id": action, "text": plain_text(label, MAX_BUTTON_CHARS), "type": "button", "url": url}


def plain_text(text: str, max_chars: int) -> Block:
    """Make text without any meaning to Slack."""
    return {"emoji": False, "text": plain(text, max_chars), "type": "plain_text"}


def mrkdwn_text(harmless: str) -> Block:
    """Make text of what was made harmless."""
    # verbatim: Slack must not go looking for links, channels and people in what strangers wrote.
    return {"text": harmless, "type": "mrkdwn", "verbatim": True}
