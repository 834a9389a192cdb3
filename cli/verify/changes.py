"""What may have happened to a body on its way to a verifier, each undone: what was signed, if that is what happened.

Nothing here guesses: a change is named only when the signature holds over what it gives.
"""

import ast
import base64
import binascii
import html
import json
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus

from cli.verify.layouts import layouts

BOM = b"\xef\xbb\xbf"

MAX_LAID_OUT_BYTES = 2 * 1024 * 1024
# A larger body is not written in all ways that there are: it would take minutes.


@dataclass(frozen=True, slots=True)
class Change:
    """A change, and the body as it was before it.

    Attributes:
        name: of the change, for programs.
        sentence: what happened to the body.
        original: what was signed, if this is what happened.

    """

    name: str
    sentence: str
    original: bytes


def undo_changes(body: bytes) -> Iterator[Change]:
    """Give each change that could have led to this body. The simple ones come first."""
    seen = {body}
    for change in _changes(body):
        if change.original not in seen:
            seen.add(change.original)
            yield change


def _changes(body: bytes) -> Iterator[Change]:
    yield from _ends(body)
    yield from _line_endings(body)
    yield from _encodings(body)
    yield from _wrappings(body)
    yield from _forms(body)
    if len(body) <= MAX_LAID_OUT_BYTES:
        yield from _serialisations(body)


def _ends(body: bytes) -> Iterator[Change]:
    for newline in (b"\n", b"\r\n"):
        yield Change("newline_stripped", "the newline at the end of the body was stripped", body + newline)
    for newline in (b"\r\n", b"\n"):
        if body.endswith(newline):
            added = "a newline was added at the end of the body"
            yield Change("newline_added", added, body.removesuffix(newline))
    yield Change("whitespace_added", "whitespace was added around the body", body.strip())
    if body.startswith(BOM):
        yield Change("bom_added", "a byte order mark was put before the body", body.removeprefix(BOM))
    else:
        yield Change("bom_stripped", "the byte order mark before the body was stripped", BOM + body)


def _line_endings(body: bytes) -> Iterator[Change]:
    lines = body.replace(b"\r\n", b"\n")
    yield Change("crlf", "its line endings were changed from LF to CRLF", lines)
    yield Change("lf", "its line endings were changed from CRLF to LF", lines.replace(b"\n", b"\r\n"))


def _encodings(body: bytes) -> Iterator[Change]:
    for was, became in (("utf-8", "latin-1"), ("utf-8", "cp1252"), ("utf-8", "utf-16"), ("utf-8", "utf-8-sig")):
        sentence = f"its text was written in another encoding ({became} instead of UTF-8)"
        yield from _recoded(body, decode=became, encode=was, sentence=sentence)
    for misread in ("latin-1", "cp1252"):
        sentence = f"its UTF-8 was read as {misread} and written as UTF-8 again"
        yield from _recoded(body, decode="utf-8", encode=misread, sentence=sentence)
    text = body.decode(errors="ignore")
    for form in ("NFC", "NFD"):
        normalised = unicodedata.normalize(form, text).encode()
        yield Change("unicode_normalised", "its accented letters were composed or decomposed", normalised)


def _recoded(body: bytes, *, decode: str, encode: str, sentence: str) -> Iterator[Change]:
    try:
        original = body.decode(decode).encode(encode)
    except UnicodeError:
        return
    yield Change("re_encoded", sentence, original)


def _wrappings(body: bytes) -> Iterator[Change]:
    """Undo what frameworks and gateways put around a body."""
    with suppress(binascii.Error):
        decoded = base64.b64decode(body, validate=True)
        yield Change("base64", "it is still in base64, as a gateway handed it over", decoded)
    if isinstance(text := _json(body), str):
        yield Change("json_string", "it was written as a JSON string, in quotes", text.encode(errors="replace"))
    if body[:2] in (b"b'", b'b"'):
        yield from _python_bytes(body)
    unescaped = html.unescape(body.decode(errors="ignore")).encode(errors="replace")
    yield Change("html_escaped", "its special characters were escaped for HTML", unescaped)


def _python_bytes(body: bytes) -> Iterator[Change]:
    try:
        value = ast.literal_eval(body.decode(errors="ignore").strip())
    except (ValueError, SyntaxError):
        return
    if isinstance(value, bytes):
        yield Change("python_repr", "it is how Python prints bytes: str(body) instead of the body", value)


def _forms(body: bytes) -> Iterator[Change]:
    """Undo the decoding of a form, or its decoding and encoding again."""
    text = body.decode(errors="replace")
    decoded = "the form was decoded: the signature covers the form as it was sent"
    for fields in _decoded_fields(text):
        for encoded in _encode_form(fields):
            yield Change("form_decoded", decoded, encoded)
    parsed = parse_qsl(text, keep_blank_values=True, max_num_fields=None)
    for encoded in _encode_form(parsed):
        yield Change("form_re_encoded", "the form was parsed and encoded again, in another way", encoded)
    if not text.startswith("payload="):
        yield Change("form_decoded", decoded, b"payload=" + body)
    if text.endswith("="):  # curl -d and express read a JSON body as the name of one empty field
        yield Change("read_as_form", "a JSON body was read as a form", unquote_plus(text.removesuffix("=")).encode())


def _decoded_fields(text: str) -> Iterator[list[tuple[str, str]]]:
    if text.startswith("payload="):
        yield [("payload", text.removeprefix("payload="))]
    value = _json(text.encode(errors="replace"))
    if isinstance(value, dict):
        yield [("payload", text)]
        if value and all(isinstance(each, str) for each in value.values()):
            yield list(value.items())
    if "=" in text and not text.startswith(("{", "[")):
        yield [(name, rest) for name, _, rest in (pair.partition("=") for pair in text.split("&"))]


def _encode_form(fields: list[tuple[str, str]]) -> Iterator[bytes]:
    for quoting, safe in (
        (quote_plus, ""),
        (quote_plus, "*"),  # as browsers and the URL standard do
        (quote, ""),
        (quote, "!'()*"),  # as encodeURIComponent does
        (quote_plus, "!'()*"),
    ):
        pairs = [(quoting(name, safe), quoting(value, safe)) for name, value in fields]
        yield "&".join(f"{name}={value}" for name, value in pairs).encode()


def _serialisations(body: bytes) -> Iterator[Change]:
    sentence = "it was parsed as JSON and written again"
    for name, laid_out in layouts(body):
        yield Change("re_serialised", f"{sentence}: what was signed is {name}", laid_out)


def _json(body: bytes) -> Any:  # noqa: ANN401  # JSON is any of six types
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
