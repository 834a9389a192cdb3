"""The tokens for the HTTP API; not the tokens themselves, which are kept nowhere."""

import json
from collections.abc import Mapping
from typing import Any

from ledger.question import Asked, rows
from ledger.shown import View, rfc3339


def list_tokens(db: Asked, *, now: float) -> list[View]:
    """List tokens, newest first, also those that have ended; `now` in Unix seconds."""
    text = "SELECT id, name, public, scopes, created_at, expires_at, revoked_at FROM tokens ORDER BY id DESC"
    return [token_view(row, now) for row in rows(db, text, {})]


def token_view(row: Mapping[str, Any], now: float) -> View:
    """Show a token."""
    ended = row["expires_at"] is not None and row["expires_at"] <= now
    return {
        "id": row["id"],
        "name": row["name"],
        "begins": f"hkl_{row['public']}_",
        "scopes": json.loads(row["scopes"]),
        "state": "revoked" if row["revoked_at"] is not None else "expired" if ended else "good",
        "created_at": rfc3339(row["created_at"]),
        "expires_at": rfc3339(row["expires_at"]),
        "revoked_at": rfc3339(row["revoked_at"]),
    }
