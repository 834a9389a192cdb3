"""How long something took, as people say it."""

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def in_words(seconds: float) -> str:
    """Write a duration in the unit that fits: `40 s`, `12 min`, `3 h`, `3 h 20 min`, `5 days`."""
    whole = max(0, int(seconds))
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < 2 * DAY_S:
        hours, minutes = whole // HOUR_S, whole % HOUR_S // MINUTE_S
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{whole // DAY_S} days"
