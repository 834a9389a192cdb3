"""How what the ledger holds is shown: as JSON objects, with times that people and programs can read."""

from datetime import UTC, datetime
from typing import Any

View = dict[str, Any]  # one JSON object


def rfc3339(at: float | None) -> str | None:
    """Write a time (Unix seconds) as RFC 3339 in UTC, with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
