"""What a provider is: how its requests are verified and named. No I/O here; bytes in, a value or `Rejected` out.

A provider is one file in `receivers/providers/` that ends in `PROVIDERS = (Provider(…), …)`, one for each path.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeGuard

from pydantic import StringConstraints, ValidationError

from ledger.event import FORM, Unreadable, read_payload

MIB = 1024 * 1024

TOLERANCE_S = 300
# How far a signed timestamp may be from our clock, either way.

NAME = re.compile(r"[\x21-\x7e]{1,255}")
# Ids and types that we index and print: no control characters, no spaces, bounded.

UNKNOWN = "unknown"
# The type of an event whose own could not be read.

MAX_FLAW_CHARS = 100
# A flaw is a sentence for a list. Some parsers quote the body in theirs: this bounds how much of it gets there.

_TIMESTAMP = re.compile(rb"0|[1-9][0-9]{0,11}")
# Unix seconds in the one way to write them. Python's int() also takes "+1", "01", " 1", "1_0" and 5,000 digits.


class Rejected(Exception):
    """A request that is refused. `reason` is kept and counted; the sender only learns the status."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Headers:
    """The headers of one request, as bytes, in the order they came in."""

    __slots__ = ("_last", "raw")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        """Wrap an ASGI scope's headers: names in lower case, values as sent."""
        self.raw = raw
        self._last = dict(raw)

    def get(self, name: bytes) -> bytes | None:
        """Give the value of a header that may be sent once at most.

        Raises:
            Rejected: the header is there twice. Which of the two counts would be a guess, and guesses are how
                one verifier is made to read another value than the next one.

        """
        if len(self._last) < len(self.raw) and len(self._values(name)) > 1:
            raise Rejected("header_repeated")
        return self._last.get(name)

    def name(self, name: bytes) -> str | None:
        """Give a header's value if it is there once and fit to be an id or a type (see NAME), else None."""
        try:
            text = (self.get(name) or b"").decode("latin-1")
        except Rejected:
            return None
        return text if NAME.fullmatch(text) else None

    def _values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.raw if key == name]


class Reply(Enum):
    """What a 200 says to this provider."""

    RECEIPT = "receipt"  # {"status": …, "event": …}
    COMMAND = "command"  # Slack's ephemeral JSON
    EMPTY = "empty"


class Incoming(NamedTuple):
    """A verified request, named: who sent what, and under which identity it counts once."""

    external_id: str
    dedupe_key: str
    type: str
    account: str | None = None
    livemode: bool | None = None
    flaw: str | None = None  # why the body could not be read: the event is stored all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A verified request that wants an answer and is not an event."""

    content: bytes
    media_type: str


class Request(NamedTuple):
    """What a provider gets to see of one request: its headers and its raw body."""

    headers: Headers
    content_type: str  # lower case, without parameters; "" when absent
    body: bytes
    body_sha256: str  # hex


Verify = Callable[[Headers, bytes, Sequence[str], float], int]
Read = Callable[[Request], Incoming | Handshake]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One path that one source posts to.

    Attributes:
        source: the word for it in the ledger, the CLI and the logs.
        path: where it posts to.
        secret_variable: the environment variable that holds its signing secrets.
        signature_header: in lower case; a request without it is refused before its body is read.
        content_types: what this source sends; anything else is refused after verification.
        max_body_bytes: larger bodies are refused.
        verify: (headers, raw body, secrets, now in Unix seconds) → position of the secret that signed it;
            raises Rejected.
        read: a verified request → Incoming or Handshake; never raises for what its body or headers hold.
        reply: what a 200 says.
        prepare: imports what `verify` needs, where that takes long. Whoever receives calls it at the start, so that the
            first request does not wait for it; whoever wants to know only which providers there are does not.

    """

    source: str
    path: str
    secret_variable: str
    signature_header: bytes
    content_types: frozenset[str]
    max_body_bytes: int
    verify: Verify
    read: Read
    reply: Reply = Reply.RECEIPT
    prepare: Callable[[], object] = lambda: None


# What every provider's verify() is made of.


def signing_secret(secrets: Sequence[str], signed_by: Callable[[str], bool]) -> int:
    """Give the position of the secret that signed the request. Every secret is tried; a blank one signs nothing.

    Raises:
        Rejected: none of them did.

    """
    hits = [bool(secret.strip()) and signed_by(secret) for secret in secrets]
    if True not in hits:
        raise Rejected("signature_mismatch")
    return hits.index(True)


def read_timestamp(value: bytes) -> int:
    """Read signed Unix seconds.

    Raises:
        Rejected: they are not written as a sender writes them.

    """
    if not _TIMESTAMP.fullmatch(value):
        raise Rejected("timestamp_malformed")
    return int(value)


def require_recent(signed_at: int, now: float) -> None:
    """Refuse what was signed more than TOLERANCE_S ago or ahead.

    Ask this after the signature: then the reason says that the secret is right and a clock is wrong.

    Raises:
        Rejected: it is too old, or from the future.

    """
    if now - signed_at > TOLERANCE_S:
        raise Rejected("timestamp_too_old")
    if signed_at - now > TOLERANCE_S:
        raise Rejected("timestamp_in_future")


def read_utf8(body: bytes) -> str:
    """Decode the body of a scheme that signs text.

    Raises:
        Rejected: the sender cannot have signed it.

    """
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Rejected("body_not_utf8") from None


# What every provider's read() is made of.


def is_name(value: object) -> TypeGuard[str]:
    """Say whether a value is fit to be an id or a type (see NAME)."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None


Name = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
# A field that becomes an id or a type (see NAME). Pydantic matches it while it parses.

NOT_A_NAME = "string_pattern_mismatch"
# What Pydantic calls it when it does not match.


def read_payload_field(request: Request) -> dict[str, Any]:
    """Parse a JSON object, or a form whose one field `payload` carries it.

    The content type is not signed. A signed JSON body, sent again as a form, is cut at each `&` in it, so that text
    which a stranger wrote (an issue's title) could become the field `payload`. A form from the provider begins with it.

    Raises:
        Unreadable: says what is wrong.

    """
    if request.content_type == FORM and not request.body.startswith(b"payload="):
        raise Unreadable("a form that does not begin with the field payload")
    return read_payload(request.content_type, request.body)


def body_identity(request: Request) -> str:
    """Name an event by its body, for want of an id."""
    return f"sha256:{request.body_sha256}"


def flawed(request: Request, flaw: str, *, event_type: object = None) -> Incoming:
    """Name a verified request that could not be read: its body is its identity."""
    return Incoming(
        external_id=body_identity(request),
        dedupe_key=body_identity(request),
        type=event_type if is_name(event_type) else UNKNOWN,
        flaw=flaw_text(flaw),
    )


def flaw_text(text: str) -> str:
    """Make a reason fit for a list and a log: bounded, and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_FLAW_CHARS])


def first_problem(error: ValidationError) -> str:
    """Say which field of an envelope is wrong, and how; never what it holds."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    wrong = "must be 1 to 255 visible ASCII characters" if problem["type"] == NOT_A_NAME else problem["msg"]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {wrong}"
