"""The page that `events get` shows."""

from collections.abc import Iterator

from cli.body import body_lines
from cli.show import Line, Part, View, cell, clean, long_time, print_lines

LABEL_CHARS = 17
INDENT = "  "


def print_event(view: View, body: bytes, *, full: bool) -> None:
    """Print everything that is known of an event: long bodies only if `full`."""
    print_lines([*_lines(view), *_body_section(view, body, full=full)])


def _lines(view: View) -> Iterator[Line]:
    yield [Part(f"event {view['id']}", "bold"), Part("  "), cell("state", view["state"])]
    for label, text in _facts(view):
        if text:
            yield [Part(f"{INDENT}{label:<{LABEL_CHARS}}"), Part(clean(text))]
    if view["state"] == "unhandled":
        yield []
        yield [Part(f"no handler wants {clean(view['source'])} {clean(view['type'])}", "dim")]
    for delivery in view["deliveries"]:
        yield from _delivery(delivery)
    for effect in view["effects"]:
        yield from _effect(effect)
    if view["headers"]:
        yield []
        yield [Part("headers", "bold")]
    for name, value in view["headers"].items():
        yield [Part(f"{INDENT}{clean(name)}: {clean(value)}")]


def _body_section(view: View, body: bytes, *, full: bool) -> Iterator[Line]:
    if not body:
        return
    yield []
    yield [Part("body", "bold")]
    yield from ([Part(INDENT), *line] for line in body_lines(view["content_type"], body, full=full))


def _facts(view: View) -> Iterator[tuple[str, str]]:
    yield "source", view["source"]
    yield "external id", view["external_id"]
    yield "type", view["type"]
    yield "received at", long_time(view["received_at"])
    yield "account", view["account"] or ""
    yield "livemode", "" if view["livemode"] is None else str(view["livemode"]).lower()
    yield "flaw", view["flaw"] or ""
    yield "secret position", _secret(view["secret_position"])
    yield "body", _body(view)
    yield "", f"sha256 {view['body_sha256']}"


def _secret(position: int) -> str:
    if position < 0:
        return "none: it was fetched from the provider, not received"
    return f"{position}{'' if position else ' (the newest)'}"


def _body(view: View) -> str:
    if view["payload_pruned_at"]:
        return f"pruned {long_time(view['payload_pruned_at'])}, like the headers ({view['content_type']})"
    return f"{view['body_size']} bytes of {view['content_type']}"


def _delivery(delivery: View) -> Iterator[Line]:
    yield []
    yield [
        Part(f"delivery {delivery['id']}", "bold"),
        Part(f"  {delivery['handler']}  "),
        cell("state", delivery["state"]),
        Part(f"  due {long_time(delivery['due_at'])}" if delivery["state"] in ("failed", "pending") else ""),
    ]
    for attempt in delivery["history"]:
        yield [
            Part(f"{INDENT}attempt {attempt['number']:<3} {attempt['trigger']:<10} "),
            Part(f"{long_time(attempt['finished_at'])}  "),
            cell("outcome", attempt["outcome"]),
        ]
        yield from _error(attempt["error"])
    for dismissal in delivery["dismissals"]:
        yield [
            Part(f"{INDENT}dismissed {long_time(dismissal['at'])} by {clean(dismissal['who'])}: "),
            Part(clean(dismissal["reason"])),
        ]
    if delivery["replay"]:
        yield [
            Part(f"{INDENT}set going by replay {delivery['replay']}: hookline replays get {delivery['replay']}", "dim")
        ]
    if delivery["state"] in ("failed", "dead"):
        yield [Part(f"{INDENT}run it again: hookline retry {delivery['id']}", "dim")]


def _effect(effect: View) -> Iterator[Line]:
    yield []
    yield [
        Part(f"effect {effect['id']}", "bold"),
        Part(f"  {clean(effect['channel'])}  "),
        cell("state", effect["state"]),
        Part(f"  {long_time(effect['finished_at'])}" if effect["finished_at"] else ""),
        Part(_held(effect)),
    ]
    yield from ([Part(f"{INDENT}{clean(line)}")] for line in effect["text"].splitlines())
    yield [Part(f"{INDENT}key {clean(effect['key'])}", "dim")]
    yield from _error(effect["last_error"])


def _held(effect: View) -> str:
    """Say until when it waits on purpose. A service of an older version does not tell."""
    until = effect.get("held_until")
    why = "snoozed" if "/reminder/" in effect["key"] else "quiet hours"
    return f"  held until {long_time(until)}: {why}" if until else ""


def _error(text: str | None) -> Iterator[Line]:
    """Print an error whole, each of its lines for itself."""
    for line in (text or "").splitlines():
        yield [Part(f"{INDENT}{INDENT}{clean(line)}", "red")]
