"""What Slack takes in chat.postMessage, chat.update and chat.postEphemeral, as far as we use them (docs.slack.dev)."""

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
    if method == "chat.postEphemeral":
        return _problem_with_text(arguments) or (
            None if str(arguments.get("user")).startswith("U") else "user_not_found"
        )
    return _problem_with_text(arguments) or _problem_with_content(arguments)


def _problem_with_text(arguments: Json) -> str | None:
    text = arguments.get("text")
    if not isinstance(text, str) or not text:
        return "no_text"
    return "msg_too_long" if len(text) > MAX_TEXT else None


def _problem_with_content(arguments: Json) -> str | None:
    if not _is_metadata(arguments.get("metadata")):
        return "invalid_metadata_format"
    return "invalid_blocks" if list(_block_problems(arguments.get("blocks", []))) else None


def _is_metadata(metadata: object) -> bool:
    return (
        isinstance(metadata, dict)
        and metadata.keys() == {"event_type", "event_payload"}
        and isinstance(metadata["event_type"], str)
        and isinstance(metadata["event_payload"], dict)
        and all(isinstance(value, str | int | bool) for value in metadata["event_payload"].values())
    )


def _block_problems(blocks: list[Json]) -> Iterator[str]:
    if len(blocks) > MAX_BLOCKS:
        yield "too many"
    for block in blocks:
        yield from _CHECKS.get(block["type"], _unknown)(block)


def _unknown(block: Json) -> Iterator[str]:
    yield f"no block of type {block['type']} is used here"


def _header(block: Json) -> Iterator[str]:
    yield from _text(block["text"], MAX_HEADER, {"plain_text"})


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
    elements = block["elements"]
    if not 0 < len(elements) <= MAX_ELEMENTS:
        yield "a context has one to ten elements"
    for element in elements:
        yield from _text(element, MAX_ELEMENT)


def _actions(block: Json) -> Iterator[str]:
    elements = block["elements"]
    if not 0 < len(elements) <= MAX_BUTTONS:
        yield "actions have one to 25 elements"
    ids = [element["action_id"] for element in elements]
    if len(set(ids)) < len(ids):
        yield "two elements of one action_id"
    for element in elements:
        yield from _button(element)


def _button(element: Json) -> Iterator[str]:
    if element["type"] != "button" or not element.keys() <= {"type", "action_id", "text", "value", "url", "style"}:
        yield "only buttons are used here"
    yield from _text(element["text"], MAX_BUTTON_TEXT, {"plain_text"})
    if not 0 < len(element["action_id"]) <= MAX_ACTION_ID or len(element.get("value", "")) > MAX_VALUE:
        yield "action_id or value is too long"
    if "url" in element and not (element["url"].startswith("https://") and len(element["url"]) <= MAX_URL):
        yield "no link"
    if element.get("style") not in (None, "primary", "danger"):
        yield "no such style"


def _text(text: Json, max_chars: int, types: Collection[str] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if text["type"] not in types:
        yield f"{text['type']} is not allowed here"
    if not 0 < len(text["text"]) <= max_chars:
        yield f"{len(text['text'])} characters of {max_chars}"


_CHECKS = {"header": _header, "section": _section, "context": _context, "actions": _actions}
