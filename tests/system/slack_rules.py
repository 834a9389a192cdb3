"""What Slack takes in chat.postMessage, chat.update and chat.postEphemeral, as far as we use them (docs.slack.dev).

A block, a text or a button with a key that we never use is wrong, too: the real API refuses unknown ones.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MAX_TEXT = 40_000
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_FIELDS = 10
MAX_FIELD = 2_000
MAX_ELEMENTS = 10
MAX_ELEMENT = 3_000
MAX_BUTTONS = 25
MAX_BUTTON_TEXT = 75
MAX_ACTION_ID = 255
MAX_VALUE = 2_000
MAX_URL = 3_000

USER = re.compile(r"[UW][A-Z0-9]{2,20}")
TS = re.compile(r"\d{10}\.\d{6}")

CONTENT = {"channel", "text", "blocks", "metadata"}
KNOWN = {
    "chat.postMessage": CONTENT | {"unfurl_links", "unfurl_media", "thread_ts", "reply_broadcast"},
    "chat.update": CONTENT | {"ts"},
    "chat.postEphemeral": {"channel", "text", "user"},
}

Json = Mapping[str, Any]


def problem_with(method: str, arguments: Json, channels: Collection[str]) -> str | None:
    """Give Slack's word for what is wrong with a message, or None. An argument that we never use is wrong, too."""
    if not arguments.keys() <= KNOWN[method] or arguments.get("unfurl_links") or arguments.get("unfurl_media"):
        return "invalid_arguments"
    if arguments.get("channel") not in channels:
        return "channel_not_found"
    if not all(TS.fullmatch(str(arguments[name])) for name in ("ts", "thread_ts") if name in arguments):
        return "invalid_arguments"
    if "reply_broadcast" in arguments and "thread_ts" not in arguments:
        return "invalid_arguments"
    if method == "chat.postEphemeral":
        known = USER.fullmatch(str(arguments.get("user")))
        return _problem_with_text(arguments) or (None if known else "user_not_found")
    return _problem_with_text(arguments) or _problem_with_content(arguments)


def _problem_with_text(arguments: Json) -> str | None:
    text = arguments.get("text")
    if not isinstance(text, str) or not text:
        return "no_text"
    return "msg_too_long" if len(text) > MAX_TEXT else None


def _problem_with_content(arguments: Json) -> str | None:
    if not _is_metadata(arguments.get("metadata")):
        return "invalid_metadata_format"
    return "invalid_blocks" if list(block_problems(arguments.get("blocks", []))) else None


def _is_metadata(metadata: object) -> bool:
    return (
        isinstance(metadata, dict)
        and metadata.keys() == {"event_type", "event_payload"}
        and isinstance(metadata["event_type"], str)
        and isinstance(metadata["event_payload"], dict)
        and all(isinstance(value, str | int | bool) for value in metadata["event_payload"].values())
    )


def block_problems(blocks: object) -> Iterator[str]:
    """Say all that Slack finds wrong with blocks."""
    if not isinstance(blocks, list) or len(blocks) > MAX_BLOCKS:
        yield "blocks are a list of up to 50"
        return
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _CHECKS:
            yield f"no block of type {kind} is used here"
            continue
        check, keys = _CHECKS[kind]
        if not block.keys() <= keys | {"type"}:
            yield f"a {kind} has no {sorted(block.keys() - keys - {'type'})}"
        yield from check(block)


def _header(block: Json) -> Iterator[str]:
    yield from _text(block.get("text"), MAX_HEADER, {"plain_text"})


def _section(block: Json) -> Iterator[str]:
    fields = block.get("fields", [])
    if "text" in block:
        yield from _text(block["text"], MAX_SECTION)
    elif not fields:
        yield "a section needs text or fields"
    if len(fields) > MAX_FIELDS:
        yield "too many fields"
    for field in fields:
        yield from _text(field, MAX_FIELD)


def _context(block: Json) -> Iterator[str]:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= MAX_ELEMENTS:
        yield "a context has one to ten elements"
    for element in elements:
        yield from _text(element, MAX_ELEMENT)


def _actions(block: Json) -> Iterator[str]:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= MAX_BUTTONS:
        yield "actions have one to 25 elements"
    ids = [element.get("action_id") for element in elements]
    if len(set(ids)) < len(ids):
        yield "two elements of one action_id"
    for element in elements:
        yield from _button(element)


def _button(element: Json) -> Iterator[str]:
    if element.get("type") != "button" or not element.keys() <= {"type", "action_id", "text", "value", "url", "style"}:
        yield "only buttons are used here"
    yield from _text(element.get("text"), MAX_BUTTON_TEXT, {"plain_text"})
    if not 0 < len(element.get("action_id", "")) <= MAX_ACTION_ID or len(element.get("value", "")) > MAX_VALUE:
        yield "action_id or value is too long"
    if "url" in element and not (element["url"].startswith("https://") and len(element["url"]) <= MAX_URL):
        yield "no link"
    if element.get("style") not in (None, "primary", "danger"):
        yield "no such style"


_OF_TEXT = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}


def _text(text: object, max_chars: int, types: Collection[str] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in types or not isinstance(text.get("text"), str):
        yield f"{text} is not allowed here"
        return
    if not text.keys() <= _OF_TEXT[text["type"]]:
        yield f"a {text['type']} has no {sorted(text.keys() - _OF_TEXT[text['type']])}"
    if not 0 < len(text["text"]) <= max_chars:
        yield f"{len(text['text'])} characters of {max_chars}"


_CHECKS = {
    "header": (_header, {"text"}),
    "section": (_section, {"text", "fields"}),
    "context": (_context, {"elements"}),
    "actions": (_actions, {"elements"}),
}
