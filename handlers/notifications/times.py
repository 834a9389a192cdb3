"""Moments as people read them."""

from datetime import UTC, datetime

from babel.dates import format_datetime


def in_utc(unix_s: int | None) -> str | None:
    """Write Unix seconds as `14 Nov 2026, 23:59 UTC`."""
    if unix_s is None:
        return None
    return format_datetime(datetime.fromtimestamp(unix_s, UTC), "d MMM y, HH:mm", locale="en") + " UTC"


def with_weekday(unix_s: int) -> str:
    """Write Unix seconds as `Sat 14 Nov 2026, 23:59 UTC`: how far off it is stays true, however late it is read."""
    return format_datetime(datetime.fromtimestamp(unix_s, UTC), "EEE d MMM y, HH:mm", locale="en") + " UTC"


def on_day(unix_s: int) -> str:
    """Write Unix seconds as `14 Nov 2026`, in UTC."""
    return format_datetime(datetime.fromtimestamp(unix_s, UTC), "d MMM y", locale="en")
