"""Prepared requests: a file of complete HTTP requests, each an event of its own with a valid signature.

They are made before a round, so that the round measures the receiver and not the one who signs. One in a thousand is
forged: it carries a signature made with another secret, and a receiver that verifies refuses it.
"""

import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from bench.prepared import write
from cli.sample import freshen, load_sample
from tests.system.secrets import GITHUB_SECRET, STRIPE_SECRET

FORGED_EVERY = 1_000
FORGED_AT = 500
# The first is the five-hundredth: also a short round has one.

FORGED = "F"
# The first character of a forged event's serial.

SERIAL_CHARS = 20
SERIAL_DIGITS = 10
# At its end: the request's number.

TICKS_BETWEEN = 2_500
# Of 100 ns between two deliveries of GitHub's: 4,000 a second.

DRAINED_TYPE = "bench.payment_failed"
# Only the handler in `bench/handler.py` wants it.

Sign = Callable[[bytes, str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of webhook: its path, its body in parts (the serial goes between them), and how it is signed."""

    source: str
    path: str
    parts: tuple[bytes, ...]
    sign: Sign  # body and serial → header lines
    forge: Sign
    name: Callable[[str], str]  # serial → the external id that its event gets


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The requests of one file, in its order."""

    file: Path
    kind: Kind
    series: str
    count: int
    with_forged: bool

    def ids(self, count: int) -> set[str]:
        """Give the external ids of the first so many, without those of the forged ones."""
        return {self._id(number) for number in range(count) if not self.forges(number)}

    def forged_ids(self) -> set[str]:
        """Give the external ids that no event may have."""
        return {self._id(number) for number in range(self.count) if self.forges(number)}

    def serial(self, number: int) -> str:
        """Give the serial of the request of this number; 0 is the first."""
        return f"{FORGED if self.forges(number) else 'e'}{self.series}{number:0{SERIAL_DIGITS}d}"

    def forges(self, number: int) -> bool:
        """Say whether the request of this number is forged."""
        return self.with_forged and is_forged(number)

    def _id(self, number: int) -> str:
        return self.kind.name(self.serial(number))


def is_forged(number: int) -> bool:
    """Say whether the request of this number (0 is the first) is forged."""
    return number % FORGED_EVERY == FORGED_AT


def count_forged(requests: int) -> int:
    """Count the forged ones among the first so many requests."""
    return (requests + FORGED_EVERY - FORGED_AT - 1) // FORGED_EVERY


def prepare(path: Path, kind: Kind, count: int, *, forged: bool = True) -> Batch:
    """Write a file of so many requests that were never sent before."""
    batch = Batch(file=path, kind=kind, series=uuid.uuid4().hex[:9], count=count, with_forged=forged)
    write(path, (_request(kind, batch.serial(number), forge=batch.forges(number)) for number in range(count)))
    return batch


def _request(kind: Kind, serial: str, *, forge: bool) -> bytes:
    body = serial.encode().join(kind.parts)
    lines = [
        f"POST {kind.path} HTTP/1.1",
        "host: 127.0.0.1",
        "user-agent: bench",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(kind.forge if forge else kind.sign)(body, serial),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def payment() -> Kind:
    """Make a payment that succeeded, 2.4 KB: one delivery, one row in the book."""
    return _stripe("payment_intent.succeeded")


def failed_payment() -> Kind:
    """Make a payment that failed, 2.4 KB: one delivery, one row in the book and one effect."""
    error = json.dumps({"code": "card_declined", "decline_code": "insufficient_funds", "message": "Declined."})
    return _stripe(
        "payment_intent.succeeded",
        f"type={DRAINED_TYPE}",
        "data.object.status=requires_payment_method",
        f"data.object.last_payment_error={error}",
    )


def _stripe(type_: str, *overrides: str) -> Kind:
    webhook = freshen(load_sample("stripe", type_), overrides, now=time.time(), random=Random())  # noqa: S311  # no secret
    return Kind(
        source="stripe",
        path=webhook.path,
        parts=_parts(webhook.body, json.loads(webhook.body)["id"].removeprefix("evt_3")),
        sign=lambda body, _serial: [_stripe_signature(body, STRIPE_SECRET)],
        forge=lambda body, _serial: [_stripe_signature(body, "whsec_of_somebody_else")],
        name=lambda serial: f"evt_3{serial}",
    )


def _stripe_signature(body: bytes, secret: str) -> str:
    sent_at = int(time.time())
    digest = hmac.digest(secret.encode(), b"%d.%s" % (sent_at, body), "sha256").hex()
    return f"stripe-signature: t={sent_at},v1={digest}"


def build() -> Kind:
    """Make a build that succeeded, cut to 2 KB: one delivery to a handler that has nothing to tell."""
    payload = json.loads(json.dumps(load_sample("github", "workflow_run.completed").payload))
    payload["workflow_run"]["name"] = "serial-serial-serial"
    payload["workflow_run"]["conclusion"] = "success"
    del payload["workflow_run"]["repository"]  # it is there a second time, as head_repository
    body = json.dumps(_slim(payload), separators=(",", ":")).encode()
    return Kind(
        source="github",
        path="/webhooks/github",
        parts=_parts(body, "serial-serial-serial"),
        sign=lambda body, serial: _github_headers(body, GITHUB_SECRET, serial),
        forge=lambda body, serial: _github_headers(body, "github-secret-of-somebody-else", serial),
        name=_guid,
    )


def large_push(size_bytes: int) -> Kind:
    """Make a push of so many commits that it has nearly this size."""
    payload = json.loads(json.dumps(load_sample("github", "push").payload))
    commit = json.dumps(payload["commits"][0], separators=(",", ":"))
    payload["commits"] = []
    payload["after"] = "serial-serial-serial"
    body = json.dumps(payload, separators=(",", ":"))
    commits = ",".join([commit] * ((size_bytes - len(body)) // (len(commit) + 1)))
    return Kind(
        source="github",
        path="/webhooks/github",
        parts=_parts(body.replace('"commits":[]', f'"commits":[{commits}]').encode(), "serial-serial-serial"),
        sign=lambda body, serial: _github_headers(body, GITHUB_SECRET, serial, event="push"),
        forge=lambda body, serial: _github_headers(body, "github-secret-of-somebody-else", serial, event="push"),
        name=_guid,
    )


def _github_headers(body: bytes, secret: str, serial: str, *, event: str = "workflow_run") -> list[str]:
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    return [
        f"x-hub-signature-256: sha256={digest}",
        f"x-github-event: {event}",
        f"x-github-delivery: {_guid(serial)}",
        "x-github-hook-id: 4711",
    ]


def _guid(serial: str) -> str:
    """Name a delivery as GitHub does: by a UUID of version 1, which begins with the lower half of a clock.

    docs.github.com shows one (72d3162e-cc78-11e3-81ab-4c9367dc0958). Those that are sent one after the other are
    neighbours in an index; random ones would each dirty a page of their own.
    """
    series, number = sha256(serial[:-SERIAL_DIGITS].lower().encode()).hexdigest(), int(serial[-SERIAL_DIGITS:])
    low = (int(series[:8], 16) + number * TICKS_BETWEEN) % 2**32
    return f"{low:08x}-cc78-11ef-81ab-{series[8:20]}"


def _slim(value: Any) -> Any:  # noqa: ANN401  # JSON is any of six types
    """Leave out what makes GitHub's payloads ten times as long and is of no use to anybody here."""
    left_out = ("actor", "triggering_actor", "organization", "sender", "workflow")
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in left_out and not _is_link(key)}
        return {key: _slim(each) for key, each in kept.items()}
    return [_slim(each) for each in value] if isinstance(value, list) else value


def _is_link(key: str) -> bool:
    return key != "html_url" and (key.endswith("_url") or key.startswith("has_") or key == "node_id")


def _parts(body: bytes, mark: str) -> tuple[bytes, ...]:
    if len(mark) != SERIAL_CHARS:
        raise AssertionError(mark)
    return tuple(body.split(mark.encode()))
