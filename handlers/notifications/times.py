"""Moments as people read them."""

from datetime import UTC, datetime

from babel.dates import format_datetime


def in_utc(unix_s: int | None) -> str | None:
    """Write Unix seconds as `14 Nov 2026, 23:59 UTC`."""
    if unix_s is None:
        return None
    return format_datetime(datetime.fromtimestamp(unix_s, UTC), "d MMM y, HH:mm", locale="en") + " UTC"
