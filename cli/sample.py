"""Sample webhooks: real vendors' shapes, invented people. `freshen` makes one that has never been sent before.

The samples are JSON files in `cli/samples/<source>/<type>.json`, all of them as if sent at SAMPLED_AT. In them

* SAMPLE0000 at the end of an id stands for what makes the id unique: one event and its objects share it;
* 9000000000 does the same where the provider's ids are numbers;
* every time lies within a few years of SAMPLED_AT, and moves with it.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib.resources import files
from random import Random
from string import ascii_letters, digits
from typing import Any
from urllib.parse import urlencode

from ledger.event import FORM, JSON

SAMPLED_AT = 1_793_361_600
# 2026-10-30T12:00:00Z in Unix seconds.

UNIX_TIMES = range(SAMPLED_AT - 500 * 86_400, SAMPLED_AT + 500 * 86_400)
# A number in here is a time. A test makes sure that the samples have no other number in here.

ID_MARK = "SAMPLE0000"
NUMBER_MARK = "9000000000"

SUFFIX_CHARS = 20
# As long as what Stripe puts behind `pi_3`.

MAX_NEAR = 3
MIN_PART_CHARS = 3
# So much of a name must be typed to find what contains it.

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
SLACK_TIME = re.compile(r"(\d{10})(\.\d{6})")


class UnknownSample(Exception):
    """There is no sample of this source and type. The text names those that may have been meant."""


class UnknownPath(Exception):
    """An override names a place that the sample does not have."""


class BadOverride(Exception):
    """An override is not of the form `key.path=value`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample webhook as it is in its file; `payload` is a JSON object, also where the vendor sends a form."""

    source: str
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Marks:
    """What makes the ids of one trigger unique: at the end of those that are text, and as a number."""

    suffix: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """What to post, unsigned.

    Attributes:
        path: of the receiver.
        body: the exact bytes to sign.
        content_type: of the body.
        event_name: what GitHub says in `X-GitHub-Event`; None for the others.

    """

    path: str
    body: bytes
    content_type: str
    event_name: str | None = None


def list_samples(source: str) -> list[str]:
    """List the types that there is a sample of; none for an unknown source."""
    folder = files("cli") / "samples"
    if source not in {each.name for each in folder.iterdir()}:
        return []
    return sorted(each.name.removesuffix(".json") for each in (folder / source).iterdir())


def load_sample(source: str, type_: str) -> Sample:
    """Read one sample.

    Raises:
        UnknownSample: there is none.

    """
    known = list_samples(source)
    if type_ not in known:
        raise UnknownSample(_unknown(source, type_, known))
    text = (files("cli") / "samples" / source / f"{type_}.json").read_text(encoding="utf-8")
    return Sample(source, type_, json.loads(text))


def _unknown(source: str, type_: str, known: Sequence[str]) -> str:
    near = [each for each in known if len(type_) >= MIN_PART_CHARS and type_ in each]
    near += [each for each in get_close_matches(type_, known, n=MAX_NEAR, cutoff=0.5) if each not in near]
    guess = f"did you mean {' or '.join(near[:MAX_NEAR])}? " if near else ""
    return (
        f"no sample of {source} {type_}; {guess}`hookline trigger{f' {source}' if known else ''}` lists what there is"
    )


def freshen(
    sample: Sample, overrides: Iterable[str], removals: Iterable[str] = (), *, now: float, random: Random
) -> Webhook:
    """Make a webhook of a sample: new ids, times moved to `now` (Unix seconds), then the overrides and removals.

    An override is `key.path=value`: the path from the top of the payload, numbers for list items; the value as JSON
    if it is JSON, else as text (`data.object.amount=500`, `data.object.currency=jpy`).

    Raises:
        BadOverride: an override has no `=`.
        UnknownPath: an override's place does not exist, and neither does an object to put it in; or what is to be
            removed is not there.

    """
    payload = moved(renamed(sample.payload, make_marks(random)), round(now) - SAMPLED_AT)
    for override in overrides:
        put(payload, override)
    for path in removals:
        drop(payload, path)
    return pack(Sample(sample.source, sample.type, payload))


def pack(sample: Sample) -> Webhook:
    """Write a payload as its provider would send it."""
    return _PACKERS[sample.source](sample.type, sample.payload)


def make_marks(random: Random) -> Marks:
    """Draw what makes ids unique."""
    suffix = "".join(random.choices(ascii_letters + digits, k=SUFFIX_CHARS))
    return Marks(suffix, str(random.randrange(10**10, 10**11)))  # exact also where JSON numbers are doubles


def renamed(payload: Mapping[str, Any], marks: Marks) -> Any:  # noqa: ANN401  # JSON is any of six types
    """Give a copy with new ids."""
    return json.loads(json.dumps(payload).replace(ID_MARK, marks.suffix).replace(NUMBER_MARK, marks.number))


def moved(value: Any, by_s: int) -> Any:  # noqa: ANN401  # JSON is any of six types
    """Move every time in `value` by `by_s` seconds."""
    if isinstance(value, dict):
        return {key: moved(each, by_s) for key, each in value.items()}
    if isinstance(value, list):
        return [moved(each, by_s) for each in value]
    if isinstance(value, int) and value in UNIX_TIMES:
        return value + by_s
    return _moved_text(value, by_s) if isinstance(value, str) else value


def _moved_text(text: str, by_s: int) -> str:
    if ISO_TIME.fullmatch(text):
        moved = datetime.fromisoformat(text) + timedelta(seconds=by_s)
        places = "milliseconds" if "." in text else "seconds"
        return moved.astimezone(UTC).isoformat(timespec=places).replace("+00:00", "Z")
    slack_time = SLACK_TIME.fullmatch(text)
    return f"{int(slack_time[1]) + by_s}{slack_time[2]}" if slack_time else text


def has(payload: Any, path: str) -> bool:  # noqa: ANN401  # JSON is any of six types
    """Say whether a payload has something at `key.path`, null or not."""
    place = payload
    for key in path.split("."):
        try:
            place = place[_existing(place, key, path)]
        except UnknownPath:
            return False
    return True


def put(payload: Any, override: str) -> None:  # noqa: ANN401  # JSON is any of six types
    """Change a payload as an override says.

    Raises:
        BadOverride: it has no `=`.
        UnknownPath: its place does not exist, and neither does an object to put it in.

    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        message = f"{override!r} is not of the form key.path=value"
        raise BadOverride(message)
    *parents, last = path.split(".")
    place = payload
    for key in parents:
        place = place[_existing(place, key, path)]
    place[last if isinstance(place, dict) else _existing(place, last, path)] = _json_or_text(text)


def drop(payload: Any, path: str) -> None:  # noqa: ANN401  # JSON is any of six types
    """Take out of a payload what is at `key.path`.

    Raises:
        UnknownPath: there is nothing.

    """
    *parents, last = path.split(".")
    place = payload
    for key in parents:
        place = place[_existing(place, key, path)]
    del place[_existing(place, last, path)]


def _existing(place: Any, key: str, path: str) -> str | int:  # noqa: ANN401  # JSON is any of six types
    if isinstance(place, dict) and key in place:
        return key
    if isinstance(place, list) and key.isdecimal() and int(key) < len(place):
        return int(key)
    message = f"{path}: there is no {key!r} in this sample"
    raise UnknownPath(message)


def _json_or_text(text: str) -> Any:  # noqa: ANN401  # JSON is any of six types
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pack_stripe(_type: str, payload: Mapping[str, Any]) -> Webhook:
    # Stripe indents what it sends. Whoever parses and dumps before verifying notices it here.
    body = json.dumps(payload, indent=2, ensure_ascii=False).encode()
    return Webhook(path="/webhooks/stripe", body=body, content_type=JSON)


def _pack_github(type_: str, payload: Mapping[str, Any]) -> Webhook:
    event_name = type_.partition(".")[0]
    return Webhook(path="/webhooks/github", body=_compact(payload), content_type=JSON, event_name=event_name)


def _pack_slack(type_: str, payload: Mapping[str, Any]) -> Webhook:
    if type_ == "slash_command":
        return Webhook(path="/webhooks/slack/commands", body=urlencode(payload).encode(), content_type=FORM)
    if type_ == "block_actions":
        form = urlencode({"payload": _compact(payload)}).encode()
        return Webhook(path="/webhooks/slack/interactivity", body=form, content_type=FORM)
    return Webhook(path="/webhooks/slack/events", body=_compact(payload), content_type=JSON)


def _compact(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


_PACKERS: Mapping[str, Callable[[str, Mapping[str, Any]], Webhook]] = {
    "github": _pack_github,
    "slack": _pack_slack,
    "stripe": _pack_stripe,
}
