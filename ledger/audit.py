"""The audit log: who changed what, when and why, with the commands or over the HTTP API. Rows are only ever added."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from ledger.tables import audit

MAX_IDS = 1_000
# Kept with an entry; of more, the number.


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Somebody who changes something.

    Attributes:
        who: a person at a shell, or the name of a token.
        via: `cli` or `api`.
        reason: why, if they said so.

    """

    who: str
    via: str
    reason: str | None = None


def record(db: Connection, by: By, action: str, *, now: float, **detail: Any) -> None:  # noqa: ANN401  # any JSON
    """Add an entry, in the transaction of what it is about (`now` in Unix seconds)."""
    kept = {name: _short(value) for name, value in detail.items()}
    row = {"at": now, "who": by.who, "via": by.via, "action": action, "reason": by.reason, "detail": json.dumps(kept)}
    db.execute(insert(audit), row)


def _short(value: Any) -> Any:  # noqa: ANN401  # any JSON
    return (
        {"number": len(value), "first": value[:MAX_IDS]} if isinstance(value, list) and len(value) > MAX_IDS else value
    )
