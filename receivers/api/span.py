"""The span of time that something is counted in."""

from http import HTTPStatus

from ledger.schedule import DAY_S
from receivers.api import questions
from receivers.api.problems import Refused

MAX_SPAN_DAYS = 73_000
# What is counted is told for each part of the time, so a span has an end.


def span_of(asked: questions.Span, *, now: float) -> tuple[float, float]:
    """Give its begin and end (Unix seconds): the 24 h until `now`, unless others are asked for.

    Raises:
        Refused: there is no time between the two, or more than two hundred years.

    """
    since, until = asked.since_s, asked.until_s
    end = now if until is None else until
    begin = max(end - DAY_S if since is None else since, 0.0)
    if begin >= end:
        raise Refused(HTTPStatus.CONFLICT, "since must be earlier than until.")
    if end - begin > MAX_SPAN_DAYS * DAY_S:
        raise Refused(HTTPStatus.CONFLICT, f"It is more than {MAX_SPAN_DAYS:,} days from since until until.")
    return begin, end
