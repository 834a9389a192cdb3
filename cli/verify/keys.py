"""The secrets that are tried, and what people make of one when they copy it. None of them is ever shown."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

STRIPE_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A secret and what to call it.

    Attributes:
        name: where it is, in words; never what it is.
        secret: itself.
        given: whether it is one that the question is about; the others are tried to find the right one.

    """

    name: str
    secret: str
    given: bool = True


@dataclass(frozen=True, slots=True)
class Miscopy:
    """A secret as it should have been copied, if that is what is wrong with it."""

    name: str
    sentence: str
    key: bytes


def miscopies(secret: str) -> Iterator[Miscopy]:
    """Give what a secret may have been before it was copied."""
    seen = {secret.encode(errors="surrogateescape")}
    for each in _miscopies(secret):
        if each.key not in seen:
            seen.add(each.key)
            yield each


def _miscopies(secret: str) -> Iterator[Miscopy]:
    bare = secret.strip()
    spaces = "the secret has whitespace or a newline around it"
    yield Miscopy("secret_whitespace", spaces, bare.encode(errors="replace"))
    unquoted = bare.strip("\"'`").strip()
    yield Miscopy("secret_quoted", "the secret has quotes around it", unquoted.encode(errors="replace"))
    prefixed = STRIPE_PREFIX + unquoted
    missing = f"the secret lacks its beginning, {STRIPE_PREFIX}, which is part of it"
    yield Miscopy("secret_prefix_missing", missing, prefixed.encode(errors="replace"))
    bare_key = unquoted.removeprefix(STRIPE_PREFIX)
    alien = f"the sender signs without {STRIPE_PREFIX}, and the secret has it"
    yield Miscopy("secret_prefix_alien", alien, bare_key.encode(errors="replace"))
    newline = "the sender's secret has a newline at its end, which was pasted with it"
    yield Miscopy("secret_newline_at_sender", newline, (unquoted + "\n").encode(errors="replace"))
    try:
        decoded = base64.b64decode(bare_key, validate=True)
    except (binascii.Error, ValueError):
        return
    yield Miscopy("secret_base64", "the sender signs with the secret decoded from base64", decoded)
