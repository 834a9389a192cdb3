"""The stand-in for Slack refuses what Slack refuses, in Slack's words: else it would prove nothing."""

from typing import Any

import pytest

from tests.system.slack_rules import problem_with

Json = dict[str, Any]

METADATA = {"event_type": "hookline_effect", "event_payload": {"key": "k", "event": "1"}}
GOOD: Json = {"channel": "#finance", "text": "Dispute opened", "blocks": [], "metadata": METADATA}


def plain(chars: int, **more: Any) -> Json:
    return {"type": "plain_text", "text": "x" * chars, **more}


def mrkdwn(chars: int) -> Json:
    return {"type": "mrkdwn", "text": "x" * chars}


def button(**more: Any) -> Json:
    return {"type": "button", "action_id": "a", "text": plain(5), **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


BAD_BLOCKS: dict[str, list[Any]] = {
    "51_blocks": [{"type": "section", "text": mrkdwn(1)}] * 51,
    "a_type_that_is_unknown": [{"type": "marquee", "text": mrkdwn(1)}],
    "no_type": [{"text": mrkdwn(1)}],
    "a_key_that_is_unknown": [{"type": "section", "text": mrkdwn(1), "colour": "red"}],
    "no_text": [{"type": "header"}],
    "an_empty_text": [{"type": "section", "text": mrkdwn(0)}],
    "a_headline_of_151": [{"type": "header", "text": plain(151)}],
    "a_headline_in_mrkdwn": [{"type": "header", "text": mrkdwn(1)}],
    "a_section_of_3001": [{"type": "section", "text": mrkdwn(3_001)}],
    "11_fields": [{"type": "section", "fields": [mrkdwn(1)] * 11}],
    "a_field_of_2001": [{"type": "section", "fields": [mrkdwn(2_001)]}],
    "a_section_of_nothing": [{"type": "section"}],
    "11_elements": [{"type": "context", "elements": [mrkdwn(1)] * 11}],
    "a_context_of_nothing": [{"type": "context", "elements": []}],
    "verbatim_plain_text": [{"type": "section", "text": plain(1, verbatim=True)}],
    "26_buttons": [actions(*(button(action_id=str(number)) for number in range(26)))],
    "two_buttons_of_one_id": [actions(button(), button())],
    "a_button_of_76": [actions(button(text=plain(76)))],
    "a_value_of_2001": [actions(button(value="x" * 2_001))],
    "a_link_that_is_none": [actions(button(url="javascript:alert(1)"))],
    "a_style_that_is_unknown": [actions(button(style="loud"))],
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_blocks_that_slack_does_not_take_are_refused(name: str) -> None:
    assert problem_with("chat.postMessage", {**GOOD, "blocks": BAD_BLOCKS[name]}, ["#finance"]) == "invalid_blocks"


@pytest.mark.parametrize(
    ("method", "changes", "problem"),
    [
        ("chat.postMessage", {}, None),
        ("chat.postMessage", {"channel": "#elsewhere"}, "channel_not_found"),
        ("chat.postMessage", {"text": ""}, "no_text"),
        ("chat.postMessage", {"text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ("chat.postMessage", {"metadata": METADATA | {"event_payload": {"a": [1]}}}, "invalid_metadata_format"),
        ("chat.postMessage", {"unfurl_links": True}, "invalid_arguments"),
        ("chat.postMessage", {"thread_ts": "yesterday"}, "invalid_arguments"),
        ("chat.postMessage", {"reply_broadcast": True}, "invalid_arguments"),
        ("chat.postMessage", {"ts": "1793361600.000100"}, "invalid_arguments"),
        ("chat.update", {"ts": "1793361600.000100"}, None),
        ("chat.update", {"ts": "1793361600.000100", "thread_ts": "1793361600.000100"}, "invalid_arguments"),
    ],
)
def test_arguments_are_judged_in_slacks_words(method: str, changes: Json, problem: str | None) -> None:
    assert problem_with(method, GOOD | changes, ["#finance"]) == problem


@pytest.mark.parametrize(("user", "problem"), [("U0QKMARA01", None), ("W0QKMARA01", None), ("mara", "user_not_found")])
def test_a_message_to_one_person_needs_their_id(user: str, problem: str | None) -> None:
    arguments = {"channel": "#finance", "text": "Not you", "user": user}
    assert problem_with("chat.postEphemeral", arguments, ["#finance"]) == problem
