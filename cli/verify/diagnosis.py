"""Why a signature does not hold: each step of a verification, and the likely cause of the first that fails."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.verify.changes import Change, undo_changes
from cli.verify.found_headers import Found, Headers, find, other_source
from cli.verify.keys import Key, Miscopy, miscopies
from cli.verify.scheme import SCHEMES, Signature, read_signature, signed_by
from receivers import provider as seen
from receivers.provider import TOLERANCE_S
from receivers.providers import github, slack, stripe

MILLISECONDS_FROM = 100_000_000_000
# Unix seconds are this large in the year 5138.

VERIFY: Mapping[str, seen.Verify] = {"github": github.verify, "slack": slack.verify, "stripe": stripe.verify}

HOUR_S = 3_600

NEAR_AN_HOUR_S = 120

RAW_BYTES = "verify the raw bytes of the request, before anything parses, decodes or writes them again"

CLOCK = "set the clock of the machine that verifies (NTP); a request that is older on purpose must be signed anew"

NUMBER = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What is known of one request.

    Attributes:
        source: `stripe`, `github` or `slack`.
        headers: in any form of their names.
        body: None where it was not kept.
        received_at: when it came in, in Unix seconds.
        body_sha256: of the body that came in, in hex, if it is known.
        clock: what `received_at` is, in words.

    """

    source: str
    headers: Headers
    body: bytes | None
    received_at: float
    body_sha256: str | None = None
    clock: str = "this clock's time"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification: `ok`, `fails`, or `unknown` where nothing can be said."""

    name: str
    result: str
    detail: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong, for programs, for people, and what to do."""

    name: str
    sentence: str
    mend: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What came out. `cause` is None when nothing is wrong with what could be looked at."""

    steps: tuple[Step, ...]
    cause: Cause | None
    hints: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether every step is known to be in order."""
        return self.cause is None and all(step.result == "ok" for step in self.steps)


@dataclass
class _Looking:
    """What was seen so far. The first cause counts, in the order of the steps."""

    steps: list[Step] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def ok(self, name: str, detail: str) -> None:
        self.steps.append(Step(name, "ok", detail))

    def fails(self, name: str, detail: str, cause: Cause) -> None:
        self.steps.append(Step(name, "fails", detail))
        self.causes.append(cause)

    def unknown(self, name: str, detail: str) -> None:
        self.steps.append(Step(name, "unknown", detail))

    def done(self) -> Diagnosis:
        return Diagnosis(tuple(self.steps), self.causes[0] if self.causes else None, tuple(self.hints))


def diagnose(captured: Captured, keys: Sequence[Key]) -> Diagnosis:
    """Go through a verification step by step. Keys that are not `given` only help to find what is wrong."""
    looking = _Looking()
    found = _find_signature(captured, looking)
    if found is None:
        return looking.done()
    timestamp = _find_timestamp(captured, looking)
    signature = read_signature(captured.source, _unwrapped(found.value), timestamp)
    if _is_readable(captured.source, found.value, signature, looking):
        _check_digest(captured, signature, keys, looking)
        _check_time(captured, signature, looking)
    _ask_receiver(captured, keys, looking)
    return looking.done()


def _ask_receiver(captured: Captured, keys: Sequence[Key], looking: _Looking) -> None:
    """Let Hookline's own receiver judge what looks right: it is stricter, and its verdict is the one that counts."""
    if captured.body is None or looking.causes:
        return
    given = [key.secret for key in keys if key.given]
    headers = seen.Headers([(name.lower().encode(), value.strip().encode()) for name, value in captured.headers])
    try:
        VERIFY[captured.source](headers, captured.body, given, captured.received_at)
    except seen.Rejected as rejected:
        sentence = f"Hookline refuses it as {rejected.reason}"
        looking.fails("receiver", sentence, Cause(rejected.reason, sentence, "let the request pass as it was sent"))


def _find_signature(captured: Captured, looking: _Looking) -> Found | None:
    scheme = SCHEMES[captured.source]
    found = find(captured.headers, scheme.signature_header)
    if not found:
        looking.fails("header", f"there is no {scheme.signature_header}", _why_missing(captured))
        return None
    if len(found) > 1:
        sentence = f"{scheme.signature_header} is there {len(found)} times: which of them counts would be a guess"
        looking.fails("header", sentence, Cause("header_repeated", sentence, "look for a proxy that adds a second one"))
        return None
    _note_name("header", found[0], scheme.signature_header, looking)
    return found[0]


def _note_name(step: str, found: Found, wanted: str, looking: _Looking) -> None:
    if found.exact:
        looking.ok(step, found.name)
        return
    sentence = f"a proxy or framework renamed the header {wanted}: it is there as {found.name}"
    mend = f"read {found.name} where that is how your framework names headers, or let the proxy pass {wanted} on"
    looking.fails(step, f"there is no {wanted}, but {found.name}", Cause("header_renamed", sentence, mend))


def _why_missing(captured: Captured) -> Cause:
    scheme = SCHEMES[captured.source]
    if captured.source == "github" and find(captured.headers, "X-Hub-Signature"):
        sentence = "only the old SHA-1 signature is there (X-Hub-Signature), which proves too little today"
        return Cause("sha1_only", sentence, f"let the proxy pass {scheme.signature_header} on, or update the sender")
    if other := other_source(captured.headers, captured.source):
        title = SCHEMES[other].title
        sentence = f"this is a request of {title}, not of {scheme.title}: it has {SCHEMES[other].signature_header}"
        return Cause("other_source", sentence, f"point {title} at its own path, or ask with --source {other}")
    sentence = (
        f"the header {scheme.signature_header} is missing: a proxy dropped it, or {scheme.title} did not send this"
    )
    unsigned = " GitHub sends none where the webhook has no secret." if captured.source == "github" else ""
    return Cause("header_missing", sentence, f"let every proxy on the way pass {scheme.signature_header} on.{unsigned}")


def _find_timestamp(captured: Captured, looking: _Looking) -> str | None:
    wanted = SCHEMES[captured.source].timestamp_header
    if wanted is None:
        return None
    found = find(captured.headers, wanted)
    if len(found) == 1:
        _note_name("timestamp", found[0], wanted, looking)
        return _unwrapped(found[0].value)
    sentence = f"the header {wanted} is {'there twice' if found else 'missing'}: it is part of what is signed"
    name = "header_repeated" if found else "timestamp_missing"
    looking.fails("timestamp", sentence, Cause(name, sentence, f"let every proxy on the way pass {wanted} on"))
    return None


def _unwrapped(value: str) -> str:
    return value.strip().strip("\"'")


def _is_readable(source: str, value: str, signature: Signature, looking: _Looking) -> bool:
    """Look at the form. A header that is only dressed up is read on."""
    scheme = SCHEMES[source]
    if not signature.digests:
        looking.fails("form", f"there is no {scheme.digest}=<64 hex digits>", _why_unreadable(source, value, signature))
        return False
    if source == "stripe" and signature.timestamp is None:
        sentence = "the signature has no t=<Unix seconds>, which is part of what is signed"
        looking.fails("form", sentence, Cause("signature_malformed", sentence, "look for what cuts the header"))
        return False
    if source == "slack" and signature.timestamp is None:
        return False
    if value != value.strip().strip("\"'").replace(", ", ",") or _upper(value, signature):
        sentence = (
            "the signature header was written again: with spaces, quotes or capitals that its sender does not use"
        )
        looking.fails("form", sentence, Cause("signature_rewritten", sentence, "let the header pass as it is"))
        return True
    looking.ok("form", ", ".join(f"{name}=…" for name in signature.schemes))
    return True


def _upper(value: str, signature: Signature) -> bool:
    return any(digest not in value for digest in signature.digests)


def _why_unreadable(source: str, value: str, signature: Signature) -> Cause:
    digest = SCHEMES[source].digest
    if source == "stripe" and "v0" in signature.schemes and "v1" not in signature.schemes:
        sentence = "the only signature is a v0, the fake one that Stripe adds to test events: the v1 is not there"
        return Cause("v0_only", sentence, "look for what cuts the header after its first signature")
    if source == "github" and "sha1" in signature.schemes:
        sentence = "the signature is a SHA-1, which proves too little today: sha256=… is wanted"
        return Cause("sha1_only", sentence, "read X-Hub-Signature-256, not X-Hub-Signature")
    cut = f"{len(value)} characters without a whole {digest}=<64 hex digits>"
    sentence = f"the signature cannot be read: {cut}"
    return Cause("signature_malformed", sentence, "look for what cuts or rewrites the header")


def _check_digest(captured: Captured, signature: Signature, keys: Sequence[Key], looking: _Looking) -> None:
    if captured.body is None:
        looking.unknown("signature", "the body was not kept: give it with --body")
        return
    _check_same_body(captured, looking)
    given = [key for key in keys if key.given]
    for key in given:
        if signed_by(captured.source, signature, _bytes(key), captured.body):
            looking.ok("signature", f"{key.name} signed it")
            return
    cause = _why_unsigned(captured, captured.body, signature, keys)
    looking.fails("signature", "no digest of the secret over the body is the one in the header", cause)
    if cause.name == "wrong_secret":
        looking.hints += _hints(captured, captured.body)


def _check_same_body(captured: Captured, looking: _Looking) -> None:
    if captured.body_sha256 is None or captured.body is None:
        return
    if hashlib.sha256(captured.body).hexdigest() == captured.body_sha256:
        looking.ok("body", "it is the body that came in")
    else:
        sentence = f"this is not the body that came in: that had the SHA-256 {captured.body_sha256}"
        mend = "give the bytes as they were sent; what is said of the signature is about the ones given"
        looking.fails("body", sentence, Cause("another_body", sentence, mend))


def _why_unsigned(captured: Captured, body: bytes, signature: Signature, keys: Sequence[Key]) -> Cause:
    """Try what is simple first: another secret, the secret miscopied, the body changed, then both."""
    for key in keys:
        if not key.given and signed_by(captured.source, signature, _bytes(key), body):
            return _signed_by_another(captured, body, key)
    for key, miscopy in _all_miscopies(keys):
        if signed_by(captured.source, signature, miscopy.key, body):
            return Cause(
                miscopy.name, f"{miscopy.sentence} ({key.name})", "set the secret exactly as the provider shows it"
            )
    for change in undo_changes(body):
        if cause := _explained_by(captured, change, signature, keys):
            return cause
    return Cause(
        "wrong_secret",
        "the secret is another one than the sender's, or the body was changed beyond recognition",
        f"copy the signing secret of this very endpoint again; {RAW_BYTES}",
    )


def _all_miscopies(keys: Sequence[Key]) -> Iterator[tuple[Key, Miscopy]]:
    for key in keys:
        for miscopy in miscopies(key.secret):
            yield key, miscopy


def _explained_by(captured: Captured, change: Change, signature: Signature, keys: Sequence[Key]) -> Cause | None:
    for key in keys:
        if signed_by(captured.source, signature, _bytes(key), change.original):
            other = "" if key.given else f"; and what signed it is {key.name}, not the secret given"
            return Cause(f"body_{change.name}", f"the body was changed: {change.sentence}{other}", RAW_BYTES)
    for key, miscopy in _all_miscopies(keys):
        if signed_by(captured.source, signature, miscopy.key, change.original):
            sentence = f"the body was changed: {change.sentence}; and {miscopy.sentence} ({key.name})"
            return Cause(
                f"body_{change.name}", sentence, f"{RAW_BYTES}; set the secret exactly as the provider shows it"
            )
    return None


def _signed_by_another(captured: Captured, body: bytes, key: Key) -> Cause:
    sentence = f"wrong secret: {key.name} signed it, not the one given"
    live = _event(body).get("livemode") if captured.source == "stripe" else None
    if live is True:
        sentence += "; it is a live event, and the one given may be the test mode's"
    elif live is False:
        sentence += "; it is a test event, and the one given may be live mode's"
    return Cause("another_secret_matches", sentence, f"use {key.name}")


def _hints(captured: Captured, body: bytes) -> Iterator[str]:
    """Say what else speaks for the one or the other."""
    length = find(captured.headers, "Content-Length")
    if length and NUMBER.fullmatch(length[0].value) and int(length[0].value) != len(body):
        yield f"Content-Length says {length[0].value} bytes, and the body has {len(body)}: it was cut or changed"
    if captured.source == "stripe":
        yield from _stripe_hints(body)
    if not _event(body) and body[:1] not in (b"{", b"") and b"=" not in body[:100]:
        yield "the body is neither JSON nor a form: is it the raw body?"


def _stripe_hints(body: bytes) -> Iterator[str]:
    live = _event(body).get("livemode")
    if isinstance(live, bool):
        mode, other = ("live", "test") if live else ("test", "live")
        yield (
            f"it is a {mode}-mode event: a {other}-mode secret cannot verify it, "
            "for Stripe has one for each mode, even at the same URL"
        )
    if body.startswith(b"{") and b"\n" not in body.strip():
        yield "Stripe indents its JSON and this body is on one line: it was probably parsed and written again"
    yield "`stripe listen` signs with a secret of its own, which it prints; so does each endpoint"


def _event(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_time(captured: Captured, signature: Signature, looking: _Looking) -> None:
    if signature.timestamp is None:
        return
    if not NUMBER.fullmatch(signature.timestamp):
        sentence = "the timestamp is not a number of seconds"
        looking.fails("time", sentence, Cause("timestamp_malformed", sentence, "let the header pass as it is"))
        return
    signed_at = int(signature.timestamp)
    off_s = round(captured.received_at - signed_at)
    if abs(captured.received_at - signed_at) <= TOLERANCE_S:
        looking.ok("time", f"signed {_off(off_s, captured)}")
        return
    looking.fails("time", f"signed {_off(off_s, captured)}; {TOLERANCE_S} s are allowed", _why_off(signed_at, captured))


def _off(off_s: int, captured: Captured) -> str:
    return f"{abs(off_s)} s {'before' if off_s >= 0 else 'after'} {captured.clock}"


def _why_off(signed_at: int, captured: Captured) -> Cause:
    off_s = round(captured.received_at - signed_at)
    name = "timestamp_too_old" if off_s > 0 else "timestamp_in_future"
    if signed_at >= MILLISECONDS_FROM:
        return Cause("timestamp_in_milliseconds", "the timestamp is in milliseconds, not in seconds", "sign seconds")
    sentence = f"the timestamp is {_off(off_s, captured)}: a clock is wrong, or the request was kept and sent again"
    beside_s = (abs(off_s) + NEAR_AN_HOUR_S) % HOUR_S
    if beside_s <= 2 * NEAR_AN_HOUR_S:
        sentence += f" (about {round(abs(off_s) / HOUR_S)} h: a time zone, perhaps)"
    return Cause(name, sentence, CLOCK)


def _bytes(key: Key) -> bytes:
    return key.secret.encode(errors="replace")
