"""Points in time as people type them: `24h`, `7d`, an ISO date, or `all` for the beginning of time."""

import re
import time
from datetime import UTC, datetime

import typer

AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
ALL = "all"
UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_moment(text: str) -> float:
    """Read a moment; give Unix seconds. Without a zone, a date is in UTC.

    Raises:
        typer.BadParameter: it is neither.

    """
    if text == ALL:
        return 0.0
    if match := AGO.fullmatch(text):
        return time.time() - int(match[1]) * UNIT_S[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither an age such as 30m, 24h, 7d nor a date such as 2026-11-01 or 2026-11-01T09:30Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def check_window(since: float | None, until: float | None) -> None:
    """Make sure that there is time between the two.

    Raises:
        typer.BadParameter: there is none, so nothing could ever match.

    """
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--since must be earlier than --until (24h is earlier than 1h)")
