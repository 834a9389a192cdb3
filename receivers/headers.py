"""Which of a request's headers count, and which are kept."""

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from config.logs import SECRETS, may_hold_secret
from receivers.provider import Headers, Rejected

MAX_HEADERS = 64
MAX_VALUE_CHARS = 1_024

MAX_CHARS = 8_192
# Of all of them together: anybody can have 10,000 rejections kept, and they should not fill a disk.

PRIVATE = re.compile(r"auth|cookie|secret|token|passw|api[-_]?key|access[-_]?key|credential|session|jwt")
# Whatever a proxy or a confused sender put there: it is not ours to keep.

REDACTED = "[redacted]"


def content_type_of(headers: Headers, allowed: frozenset[str]) -> str:
    """Give the content type without parameters, in lower case.

    Raises:
        Rejected: this source never sends it, or the body is compressed (415). We inflate nothing: the signature
            covers the bytes that were sent, and a small body may become a very large one.

    """
    if headers.get(b"content-encoding") not in (None, b"", b"identity"):
        raise Rejected("content_encoding_unsupported", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    value = headers.get(b"content-type") or b""
    content_type = value.split(b";", 1)[0].strip().lower().decode("latin-1")
    if content_type not in allowed:
        raise Rejected("content_type_unsupported", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return content_type


def kept_headers(headers: Headers, *, without: bytes | None = None) -> dict[str, str]:
    """Give what is kept of the headers: bounded, printable, without secrets; repeated ones joined by commas."""
    raw = [each for each in headers.raw[:MAX_HEADERS] if each[0] != without]
    return _kept_as_they_are(raw) or _kept_letter_by_letter(raw)


def _kept_as_they_are(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Keep headers as every provider sends them: few, short, printable, without secrets. None if these are not."""
    raw_names = b"\n".join([name for name, _ in raw])
    values = [value.decode("latin-1") for _, value in raw]
    text = " ".join(values)
    if len(raw_names) + len(text) > MAX_VALUE_CHARS or not text.isprintable() or may_hold_secret(text):
        return None
    names = _harmless(raw_names)
    return None if names is None or len(names) != len(values) else dict(zip(names, values, strict=True))


@lru_cache(maxsize=256)
def _harmless(raw_names: bytes) -> list[str] | None:
    """Give the names as text if none of them has to be looked at by itself. A provider always sends the same ones."""
    names = raw_names.decode("latin-1").split("\n")
    harmless = all(name.isprintable() and not PRIVATE.search(name) for name in names)
    return names if harmless and len(set(names)) == len(names) else None


def _kept_letter_by_letter(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MAX_CHARS
    for raw_name, raw_value in raw:
        name = _printable(raw_name)
        value = REDACTED if PRIVATE.search(name) else SECRETS.sub(REDACTED, _printable(raw_value))
        left -= len(name) + len(value)
        if left < 0:
            break
        kept[name] = f"{kept[name]}, {value}"[:MAX_VALUE_CHARS] if name in kept else value
    return kept


def _printable(raw: bytes) -> str:
    text = raw[:MAX_VALUE_CHARS].decode("latin-1")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
