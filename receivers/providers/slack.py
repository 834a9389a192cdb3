"""Slack: events, slash commands and interactions, signed as `v0=<hex>` over `v0:{timestamp}:{raw body}`.

Sources: docs.slack.dev, "Verifying requests from Slack", "The Events API", "Slash commands" and "Interaction
payloads"; slack_sdk 3.47.0, `signature.SignatureVerifier`.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from ledger.event import FORM, JSON, Unreadable, read_payload
from receivers.provider import (
    MIB,
    Handshake,
    Headers,
    Incoming,
    Name,
    Provider,
    Read,
    Rejected,
    Reply,
    Request,
    body_identity,
    first_problem,
    flawed,
    read_payload_field,
    read_timestamp,
    read_utf8,
    require_recent,
    signing_secret,
)

if TYPE_CHECKING:
    from slack_sdk.signature import SignatureVerifier

SIGNATURE = b"x-slack-signature"
TIMESTAMP = b"x-slack-request-timestamp"

_SIGNATURE = re.compile(rb"v0=[0-9a-f]{64}")

_STRICT = ConfigDict(strict=True, frozen=True)


class _Inner(BaseModel):
    model_config = _STRICT

    type: Name


class _Id(BaseModel):
    model_config = _STRICT

    id: Name


class _Outer(BaseModel):
    """What the Events API posts. `team_id` is null where a whole enterprise has installed the app."""

    model_config = _STRICT

    type: Name
    team_id: Name | None = None
    enterprise_id: Name | None = None
    event_id: Name | None = None
    challenge: Name | None = None
    event: _Inner | None = None


class _Command(BaseModel):
    """A slash command's form."""

    model_config = _STRICT

    command: str
    team_id: Name | None = None
    enterprise_id: Name | None = None
    trigger_id: Name | None = None


class _Interaction(BaseModel):
    """What a button, a shortcut or a modal posts. `view_closed` and `block_suggestion` have no `trigger_id`."""

    model_config = _STRICT

    type: Name
    team: _Id | None = None
    enterprise: _Id | None = None
    trigger_id: Name | None = None


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> int:
    """Give the position of the secret that signed the request.

    The SDK's clock stands at the signed second, so that the SDK judges the signature only; the age is ours to judge,
    as it is for Stripe: a reason of its own for each, at the same bounds.

    Raises:
        Rejected: says why.

    """
    signature, timestamp = headers.get(SIGNATURE), headers.get(TIMESTAMP)
    if not signature:
        raise Rejected("signature_missing")
    if not _SIGNATURE.fullmatch(signature):
        raise Rejected("signature_malformed")
    if not timestamp:
        raise Rejected("timestamp_missing")
    signed_at = read_timestamp(timestamp)
    payload = read_utf8(body)
    position = signing_secret(secrets, lambda secret: _signed_by(secret, payload, signed_at, signature.decode("ascii")))
    require_recent(signed_at, now)
    return position


@cache
def _sdk() -> Callable[[str, int], "SignatureVerifier"]:
    """Import what we use of Slack's SDK: its package takes 35 ms. Give what makes a verifier with a stopped clock."""
    from slack_sdk.signature import Clock, SignatureVerifier  # noqa: PLC0415  # see above

    class Stopped(Clock):
        def __init__(self, at: float) -> None:
            self._at = at

        def now(self) -> float:
            return self._at

    return lambda secret, at: SignatureVerifier(secret, clock=Stopped(at))


def _signed_by(secret: str, payload: str, signed_at: int, signature: str) -> bool:
    verifier = _sdk()(secret, signed_at)
    try:
        return verifier.is_valid(body=payload, timestamp=str(signed_at), signature=signature)
    except (TypeError, ValueError):
        # What 3.47.0 raises on input that it did not expect (its int() of the timestamp, its compare_digest on text,
        # its encoding): whatever trips it is not signed.
        return False


def read_event(request: Request) -> Incoming | Handshake:
    """Name what the Events API sent by team and `event_id`, which a retry repeats ("The Events API", retries)."""
    try:
        payload = read_payload(request.content_type, request.body)
    except Unreadable as error:
        return flawed(request, str(error))
    try:
        outer = _Outer.model_validate(payload)
    except ValidationError as error:
        return flawed(request, first_problem(error), event_type=payload.get("type"))
    if outer.type == "url_verification":
        return _answer_challenge(request, outer)
    if outer.type == "event_callback":
        return _read_callback(request, outer)
    return _name(request, outer.type, outer.team_id or outer.enterprise_id, outer.event_id)


def read_command(request: Request) -> Incoming | Handshake:
    """Name a slash command by team and `trigger_id`; answer Slack's certificate check, which is no command."""
    try:
        fields = _read_command_form(request)
    except Unreadable as error:
        return flawed(request, str(error), event_type="slash_command")
    if fields.get("ssl_check") == "1":
        return Handshake(content=b"", media_type="text/plain")
    try:
        command = _Command.model_validate(fields)
    except ValidationError as error:
        return flawed(request, first_problem(error), event_type="slash_command")
    return _name(request, "slash_command", command.team_id or command.enterprise_id, command.trigger_id)


def read_interaction(request: Request) -> Incoming:
    """Name an interaction by team and `trigger_id`, or by its body where it has none."""
    try:
        payload = read_payload_field(request)
    except Unreadable as error:
        return flawed(request, str(error))
    try:
        interaction = _Interaction.model_validate(payload)
    except ValidationError as error:
        return flawed(request, first_problem(error), event_type=payload.get("type"))
    owner = interaction.team or interaction.enterprise
    return _name(request, interaction.type, owner.id if owner else None, interaction.trigger_id)


def _answer_challenge(request: Request, outer: _Outer) -> Incoming | Handshake:
    if outer.challenge is None:
        return flawed(request, "a url_verification without a challenge", event_type=outer.type)
    return Handshake(content=outer.challenge.encode("ascii"), media_type="text/plain")


def _read_callback(request: Request, outer: _Outer) -> Incoming:
    if outer.event is None or outer.event_id is None:
        return flawed(request, "an event_callback without event or event_id", event_type=outer.type)
    return _name(request, outer.event.type, outer.team_id or outer.enterprise_id, outer.event_id)


def _read_command_form(request: Request) -> dict[str, object]:
    """Read a plain form, without its blank fields.

    Neither the content type nor the path is signed: a signed event sent here as a form is cut at each `&` in it, so
    that a message's text could become a command. JSON begins with a brace, a form with a field's name.

    Raises:
        Unreadable: says what is wrong.

    """
    if request.body.lstrip().startswith((b"{", b"payload=")):
        raise Unreadable("not a command's form")
    return {key: value for key, value in read_payload(request.content_type, request.body).items() if value != ""}


def _name(request: Request, event_type: str, account: str | None, unique: str | None) -> Incoming:
    identity = f"{account or ''}:{unique}" if unique else body_identity(request)
    return Incoming(external_id=unique or body_identity(request), dedupe_key=identity, type=event_type, account=account)


def _provider(path: str, content_type: str, read: Read, reply: Reply) -> Provider:
    return Provider(
        source="slack",
        path=f"/webhooks/slack/{path}",
        secret_variable="SLACK_SIGNING_SECRET",  # noqa: S106  # the variable's name
        signature_header=SIGNATURE,
        content_types=frozenset({content_type}),
        max_body_bytes=1 * MIB,
        verify=verify,
        read=read,
        reply=reply,
        prepare=_sdk,
    )


PROVIDERS = (
    _provider("events", JSON, read_event, Reply.RECEIPT),
    _provider("commands", FORM, read_command, Reply.COMMAND),
    _provider("interactivity", FORM, read_interaction, Reply.EMPTY),
)
