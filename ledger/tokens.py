"""Tokens for the HTTP API. Each is shown once, when it is made; the ledger has its SHA-256, and no way back.

A plain digest will do, without salt or stretching: what it is of are 32 random bytes, not a password.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, or_, select, update

from ledger import audit
from ledger.audit import By
from ledger.schedule import DAY_S
from ledger.shown import View
from ledger.store import insert_or_ignore
from ledger.tables import tokens
from ledger.views.tokens import token_view

PUBLIC_BYTES, SECRET_BYTES = 6, 32

TOKEN = re.compile(r"hkl_([0-9a-f]{12})_[0-9a-f]{64}")
# The prefix is for people and for programs that look for leaked secrets.

NAME = "^[A-Za-z][A-Za-z0-9._@-]{0,99}$"
# No number, which would be somebody else's id to whoever ends a token by its id or name.

MAX_AGE_S = 10 * 365 * DAY_S

NO_DIGEST = "0" * 64


class Scope(StrEnum):
    """What a token lets its bearer do."""

    READ = "read"  # lists, and what became of each event
    PAYLOAD = "payload"  # bodies and headers, as they were received
    REPLAY = "replay"  # retry, replay, dismiss
    ADMIN = "admin"  # tokens, the audit log, prune


class NameTaken(Exception):
    """There is, or was, a token of this name: the audit log must not mean two by it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is or was a token named {name!r} already")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds a token that is good."""

    name: str
    scopes: frozenset[str]


def make_token(
    db: Connection, *, name: str, scopes: Collection[Scope], expires_at: float | None, by: By, now: float
) -> tuple[View, str]:
    """Make a token. Give what is kept of it, and the token itself: nobody can say it again.

    Args:
        db: where.
        name: who will use it.
        scopes: what for.
        expires_at: when it ends (Unix seconds); None: when it is revoked.
        by: who makes it.
        now: Unix seconds.

    Raises:
        NameTaken: names are given once.

    """
    public = secrets.token_hex(PUBLIC_BYTES)
    token = f"hkl_{public}_{secrets.token_hex(SECRET_BYTES)}"
    row = {
        "name": name,
        "public": public,
        "digest": digest(token),
        "scopes": json.dumps(sorted(scopes)),
        "created_at": now,
        "expires_at": expires_at,
    }
    token_id = db.execute(insert_or_ignore(db, tokens, tokens.c.id), row).scalar()
    if token_id is None:
        raise NameTaken(name)
    audit.record(db, by, "tokens.create", now=now, token=name, scopes=sorted(scopes))
    made = db.execute(select(tokens).where(tokens.c.id == token_id)).one()
    return token_view(made._asdict(), now), token


def revoke_token(db: Connection, token_id: int, *, by: By, now: float) -> View | None:
    """End a token; None: there is none with this id."""
    row = db.execute(select(tokens).where(tokens.c.id == token_id).with_for_update()).first()
    if row is None:
        return None
    if row.revoked_at is None:
        db.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at=now))
        audit.record(db, by, "tokens.revoke", now=now, token=row.name)
    return token_view(db.execute(select(tokens).where(tokens.c.id == token_id)).one()._asdict(), now)


def find_token(db: Connection, address: str) -> int | None:
    """Find a token by its id or its name."""
    by_name = select(tokens.c.id).where(tokens.c.name == address)
    found: int | None = db.execute(by_name).scalar()
    if found is None and address.isascii() and address.isdigit() and len(address) < len(str(2**63)):
        found = db.execute(select(tokens.c.id).where(tokens.c.id == int(address))).scalar()
    return found


def any_good(db: Connection, *, now: float) -> bool:
    """Say whether there is a token that is good: until then there is no API."""
    return db.execute(select(tokens.c.id).where(*_good(now)).limit(1)).first() is not None


def check(db: Connection, token: str, *, now: float) -> Bearer | None:
    """Say who holds this token; None: it is not one, or not good any more."""
    match = TOKEN.fullmatch(token)
    public = match[1] if match else ""
    row = db.execute(select(tokens).where(tokens.c.public == public, *_good(now))).first()
    # Found by its public part; whether it is the one, no time that it takes tells.
    same = hmac.compare_digest(digest(token), row.digest if row else NO_DIGEST)
    return Bearer(row.name, frozenset(json.loads(row.scopes))) if row and same else None


def good_digests(db: Connection, *, now: float) -> frozenset[str]:
    """Give the `digest` of each token that is good."""
    return frozenset(db.execute(select(tokens.c.digest).where(*_good(now))).scalars())


def digest(token: str) -> str:
    """Give what the ledger keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _good(now: float) -> tuple[ColumnElement[bool], ...]:
    return tokens.c.revoked_at.is_(None), or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
