"""Alerts on the console."""

from dataclasses import replace

import pytest

from ledger.effects import Effect
from workers.console import render

BLOCKS: list[dict[str, object]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Dispute opened: $49.00"}},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Reason*\nfraud &amp; <b>"}]},
    {"type": "section", "text": {"type": "mrkdwn", "text": "<https://dashboard.stripe.com/x|Open in Stripe>"}},
    {"type": "context", "elements": [{"type": "plain_text", "text": "event 1"}]},
    {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}}]},
]


def effect(blocks: list[dict[str, object]], text: str = "in one line") -> Effect:
    return Effect(
        id=1,
        event_id=1,
        key="k",
        channel="#finance",
        message={"text": text, "blocks": blocks},
        planned_at=0,
        attempts=1,
        failures=0,
        first_attempt_at=0,
        lost_answers=0,
    )


def test_an_alert_is_framed_and_readable_without_slack() -> None:
    assert render(effect(BLOCKS)).split("\n") == [
        "┌─ #finance",
        "│ Dispute opened: $49.00",
        "│ Reason: fraud & <b>",
        "│ Open in Stripe: https://dashboard.stripe.com/x",
        "│ event 1",
        "│ Acknowledge",
        "└─ kept, not sent: set SLACK_BOT_TOKEN to post alerts",
    ]


def test_a_new_message_a_change_of_one_and_a_line_of_a_thread_look_different() -> None:
    new = effect(BLOCKS)
    heads = [
        render(each).partition("\n")[0]
        for each in (new, replace(new, revision=1, attempts=2), replace(new, parent="stripe/dispute/du_1"))
    ]
    assert heads == ["┌─ #finance", "┌─ #finance, changed: k", "┌─ #finance, in the thread of stripe/dispute/du_1"]


def test_a_button_that_opens_a_page_shows_its_address() -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "Open in Stripe"}, "url": "https://x.test/du_1"}
    assert "│ Open in Stripe: https://x.test/du_1" in render(effect([{"type": "actions", "elements": [button]}]))


def test_an_alert_without_blocks_shows_its_text() -> None:
    assert "│ in one line" in render(effect([]))


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r", "\u202e", "\x9b31m"])
def test_an_alert_cannot_steer_the_terminal(hostile: str) -> None:
    assert hostile not in render(effect([{"type": "header", "text": {"type": "plain_text", "text": f"a{hostile}b"}}]))
