"""The values of the ledger: an event, its deliveries and effects, and the states they pass through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic_core import from_json

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

OWN = "hookline"
# The source of events that nobody sent: see `ledger.own`.

MAX_FORM_FIELDS = 100
# Slack's commands have about fifteen fields; a form of a million would only cost memory.


class DeliveryState(StrEnum):
    """Where one event's delivery to one handler stands."""

    PENDING = "pending"  # waits in SQL, not announced
    QUEUED = "queued"  # announced on the broker
    RUNNING = "running"  # claimed by a worker
    FAILED = "failed"  # will be retried when it is due
    DONE = "done"
    DEAD = "dead"  # needs a person
    DISMISSED = "dismissed"  # a person said that it does not matter


class EffectState(StrEnum):
    """Where one thing done to the outside stands."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    AMBIGUOUS = "ambiguous"  # the call may have worked: look before sending again
    KEPT = "kept"  # there is nobody to send it to; shown on the console
    DEAD = "dead"


class EventState(StrEnum):
    """The worst of an event's deliveries and effects."""

    DEAD = "dead"
    FAILED = "failed"
    PENDING = "pending"
    DONE = "done"
    UNHANDLED = "unhandled"  # no handler wants this type
    UNPARSEABLE = "unparseable"  # the signature held, the body could not be read


class Trigger(StrEnum):
    """Why an attempt was made."""

    INITIAL = "initial"
    RETRY = "retry"
    REPLAY = "replay"
    RECONCILED = "reconciled"


class Unreadable(Exception):
    """A body whose signature held is not what its content type says it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """What the ledger needs to know of a handler that wants a new event."""

    handler: str
    queue: str


class NewEvent(NamedTuple):
    """A verified webhook, about to be made durable."""

    source: str
    dedupe_key: str
    external_id: str
    type: str
    account: str | None
    livemode: bool | None
    received_at: float  # Unix seconds
    content_type: str
    headers: Mapping[str, str]
    body: bytes
    body_sha256: str
    secret_position: int  # 0 is the newest; -1: none, it was fetched
    flaw: str | None  # why the body could not be read, if it could not
    deliveries: tuple[NewDelivery, ...]
    traceparent: str | None = None  # of the request that brought it (W3C Trace Context)
    body_id: int | None = None  # of a large body, which is written already (`ledger.pieces`): `body` is empty then


class Receipt(NamedTuple):
    """What the ledger says of an event it was handed: it is on disk."""

    event_id: int
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as a handler sees it."""

    id: int
    source: str
    external_id: str
    type: str
    account: str | None
    livemode: bool | None
    received_at: float  # Unix seconds
    content_type: str
    body: bytes
    traceparent: str | None = None  # of the request that brought it (W3C Trace Context)
    readings: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    # What handlers have read of the body, by what they were looking for (`handlers.reading`): it is read once.

    @property
    def payload(self) -> dict[str, Any]:
        """The body as the provider meant it: the JSON object, also where a form carries it.

        Raises:
            Unreadable: only for an event that intake already stored as unparseable.

        """
        return read_payload(self.content_type, self.body)


def read_payload(content_type: str, body: bytes) -> dict[str, Any]:
    """Parse a verified body: a JSON object, a form with the object in its field `payload`, or a plain form.

    NaN, lone surrogates, integers of more than 4,300 digits and nesting deeper than 200 are refused;
    of duplicate keys the last one counts (pydantic-core's parser).

    Raises:
        Unreadable: says what is wrong.

    """
    if content_type != FORM:
        return _read_object(body)
    fields = _read_form(body)
    return _read_object(fields["payload"].encode()) if "payload" in fields else dict(fields)


def _read_object(text: bytes) -> dict[str, Any]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        reason = f"not JSON: {error}"
        raise Unreadable(reason) from None
    if not isinstance(value, dict):
        reason = f"not a JSON object but a {type(value).__name__}"
        raise Unreadable(reason)
    return value


def _read_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError as error:
        reason = f"not a form: {error}"
        raise Unreadable(reason) from None
    return dict(pairs)
