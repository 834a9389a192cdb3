"""Our clock against others'. Stripe's and Slack's requests are refused when it is five minutes off."""

import json
import statistics
from collections.abc import Iterator

from sqlalchemy import Connection, select

from cli.doctor.finding import Finding, worst
from cli.doctor.installation import Installation
from ledger.tables import events

WARN_AT_S = 10.0
PROBLEM_AT_S = 60.0
TOLERANCE_S = 300

FIX = "set the clocks by the network (`timedatectl set-ntp true`; for a container, on its host)"

SIGNED_AT = "x-slack-request-timestamp"
# The one signed time that is kept of requests that were accepted.

NEWEST_EVENTS = 50
LATELY_S = 3_600.0


def judge(whose: str, ahead_s: float) -> Finding:
    """Judge how many seconds our clock is ahead of somebody else's."""
    off_s = abs(ahead_s)
    direction = "ahead of" if ahead_s > 0 else "behind"
    agrees = f"agrees with {whose} ({off_s:.1f} s)"
    found = f"{off_s:.0f} s {direction} {whose}; at {TOLERANCE_S} s, signed requests are refused"
    found = agrees if off_s < WARN_AT_S else found
    return worst("clock", off_s, warn_at=WARN_AT_S, problem_at=PROBLEM_AT_S, found=found, fix=FIX)


def check_signed_times(_installation: Installation, db: Connection, now: float) -> Iterator[Finding]:
    """Compare when requests were signed with when they came in: the median, because a few may have been held up."""
    statement = select(events.c.received_at, events.c.headers)
    statement = statement.where(events.c.source == "slack", events.c.received_at > now - LATELY_S)
    newest = statement.order_by(events.c.received_at.desc()).limit(NEWEST_EVENTS)
    signed = [(at, json.loads(headers).get(SIGNED_AT, "")) for at, headers in db.execute(newest)]
    late_s = [at - int(time) for at, time in signed if time.isascii() and time.isdigit()]
    if late_s:
        yield judge("the times that Slack signed", statistics.median(late_s))
