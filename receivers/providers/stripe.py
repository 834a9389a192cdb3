"""Stripe: snapshot and thin events, signed as `t=<Unix seconds>,v1=<hex>` over `{t}.{raw body}`.

Sources: docs.stripe.com/webhooks/signature and stripe-python 16.1.0, `WebhookSignature.verify_header`.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from ledger.event import JSON, Unreadable, read_payload
from receivers.outline import has_words_unknown_to_json
from receivers.provider import (
    MIB,
    Headers,
    Incoming,
    Name,
    Provider,
    Rejected,
    Request,
    first_problem,
    flawed,
    read_timestamp,
    read_utf8,
    require_recent,
    signing_secret,
)

if TYPE_CHECKING:
    from stripe import SignatureVerificationError, WebhookSignature

SIGNATURE = b"stripe-signature"

MAX_HEADER_BYTES = 2048
MAX_HEADER_ENTRIES = 16
# A header has one t, one v1 for each active secret, and on test events a v0: three or four entries, 200 bytes.

_ENTRY = re.compile(rb"([a-z0-9_]{1,16})=([!-+\x2d-~]{1,255})")
# scheme=value in visible ASCII. No space after a comma: the SDK would take " v1" for another scheme.

_V1 = re.compile(rb"[0-9a-f]{64}")

_USUAL = re.compile(rb"t=([1-9][0-9]{9})(?:,v1=[0-9a-f]{64}){1,8}(?:,v0=[0-9a-f]{64})?")
# As Stripe writes it. Nothing that this takes would be refused below.


@with_config(ConfigDict(strict=True))
class _Envelope(TypedDict):
    """What we need of an event; fields as in stripe-python 16.1.0, `Event` and `v2.core.EventNotification`.

    A dictionary: a model takes Pydantic half as long again as the parsing.
    """

    object: Literal["event", "v2.core.event"]
    id: Name
    type: Name
    livemode: NotRequired[bool | None]
    account: NotRequired[Name | None]  # Connect: whose event this is
    context: NotRequired[Name | None]  # the same in a thin event


_ENVELOPE = TypeAdapter(_Envelope)
_VALIDATE_JSON: Callable[[bytes], _Envelope] = _ENVELOPE.validator.validate_json


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> int:
    """Give the position of the secret that signed the request.

    The SDK judges the signature only (tolerance=None): its own window looks at the real clock and lets any future in.

    Raises:
        Rejected: says why.

    """
    header = headers.get(SIGNATURE)
    if not header:
        raise Rejected("signature_missing")
    signed_at = _read_header(header)
    payload = read_utf8(body)
    position = signing_secret(secrets, lambda secret: _signed_by(secret, payload, header.decode("ascii")))
    require_recent(signed_at, now)
    return position


def read(request: Request) -> Incoming:
    """Name an event by its own id, which is unique over all of Stripe (docs.stripe.com/webhooks, duplicate events)."""
    try:
        event = _read_envelope(request)
    except Unreadable as error:
        return flawed(request, str(error))
    except _Misfit as error:
        return flawed(request, str(error), event_type=error.event_type)
    return Incoming(
        external_id=event["id"],
        dedupe_key=event["id"],
        type=event["type"],
        account=event.get("context") if event["object"] == "v2.core.event" else event.get("account"),
        livemode=event.get("livemode"),
    )


class _Misfit(Exception):
    """A payload without the envelope of an event."""

    def __init__(self, error: ValidationError, event_type: object) -> None:
        super().__init__(first_problem(error))
        self.event_type = event_type


def _read_envelope(request: Request) -> _Envelope:
    """Read the few fields that name an event, and make no Python objects of all the others.

    The short way takes what the long way takes, but for the words below, which JSON does not have. It says no more
    than no: what is wrong, the long way says.

    Raises:
        Unreadable: it is not a JSON object.
        _Misfit: it is one, and not an event.

    """
    body = request.body
    if not has_words_unknown_to_json(body):
        try:
            return _VALIDATE_JSON(body)
        except ValidationError:
            pass
    payload = read_payload(request.content_type, body)
    try:
        return _ENVELOPE.validate_python(payload)
    except ValidationError as error:
        raise _Misfit(error, payload.get("type")) from None


def _read_header(header: bytes) -> int:
    """Check every entry of the header before the SDK sees it, and give its timestamp."""
    if usual := _USUAL.fullmatch(header):
        return int(usual[1])
    entries = _split(header)
    timestamps = [value for scheme, value in entries if scheme == b"t"]
    signatures = [value for scheme, value in entries if scheme == b"v1"]
    if len(timestamps) != 1:  # of two, the SDK would take the first: another reader might take the last
        raise Rejected("timestamp_malformed")
    signed_at = read_timestamp(timestamps[0])
    if not signatures or not all(_V1.fullmatch(signature) for signature in signatures):
        raise Rejected("signature_malformed")
    return signed_at


def _split(header: bytes) -> list[tuple[bytes, bytes]]:
    parts = header.split(b",", MAX_HEADER_ENTRIES)
    entries = [_ENTRY.fullmatch(part) for part in parts]
    found = [(entry[1], entry[2]) for entry in entries if entry]
    if len(header) > MAX_HEADER_BYTES or len(parts) > MAX_HEADER_ENTRIES or len(found) != len(parts):
        raise Rejected("signature_malformed")
    return found


@cache
def _sdk() -> tuple[type["WebhookSignature"], type["SignatureVerificationError"]]:
    """Import what we use of Stripe's SDK: 40 ms in a process that has FastAPI and httpx, 170 ms in a bare one.

    It is the narrowest public door: `import stripe` alone takes nearly the same.
    """
    from stripe import SignatureVerificationError, WebhookSignature  # noqa: PLC0415  # see above

    return WebhookSignature, SignatureVerificationError


def _signed_by(secret: str, payload: str, header: str) -> bool:
    scheme, refusal = _sdk()
    try:
        return bool(scheme.verify_header(payload, header, secret, tolerance=None))
    except (refusal, TypeError, ValueError):
        # The first is its verdict. The others are what 16.1.0 raises on input that it did not expect (its
        # compare_digest on text, its encoding): whatever trips it is not signed.
        return False


PROVIDERS = (
    Provider(
        source="stripe",
        path="/webhooks/stripe",
        secret_variable="STRIPE_WEBHOOK_SECRET",  # noqa: S106  # the variable's name
        signature_header=SIGNATURE,
        content_types=frozenset({JSON}),
        max_body_bytes=1 * MIB,
        verify=verify,
        read=read,
        prepare=_sdk,
    ),
)
