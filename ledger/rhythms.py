"""How often each source sends, learnt from its events, and from when on its silence is strange.

The rule. Of each day (UTC) on which a source sent anything, the longest gap that ended on it is kept, for 28 days. The
longest of these is left aside, because one bad day is not usual; the longest of the others is the source's *longest
usual gap*. So nights and weekends are usual after the second one. A source is silent when nothing came for
`silence_times` its longest usual gap, and for `silence_at_least_s` in any case. A source that hardly sends is never
silent: it must have sent on seven of the last fourteen days.

Time in which nobody looked (Hookline was down, or a clock was set) is no gap: nothing is learnt from it, and silence is
counted from its end.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from config.rules import WatchRule
from ledger.own import SOURCE
from ledger.store import insert_or_ignore
from ledger.tables import events, rhythms

KEPT_DAYS = 28
LATEST_DAYS = 14
MIN_DAYS = 7

LEAVE_ASIDE = 1

MOST_EVENTS = 100_000
# So many of the newest are looked at; there are never so many between two looks, but after a long absence.


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What is known of one source.

    Attributes:
        last_id: up to which event it is known.
        last_at: when its latest event came (Unix seconds).
        gaps: the longest gap in seconds that ended on a day, by ISO date (UTC).

    """

    source: str
    last_id: int
    last_at: float
    gaps: Mapping[str, float]

    @property
    def longest_usual_s(self) -> float:
        """The longest gap of the latest days, one bad day left aside."""
        ordered = sorted(self.gaps.values(), reverse=True)
        return ordered[LEAVE_ASIDE] if len(ordered) > LEAVE_ASIDE else 0.0

    def sends_often(self, now: float) -> bool:
        """Say whether it sends on so many days that silence means something."""
        first = (_day(now) - timedelta(days=LATEST_DAYS)).isoformat()
        return sum(first <= day for day in self.gaps) >= MIN_DAYS

    def limit_s(self, rule: WatchRule) -> float:
        """Say after how much silence it is strange."""
        return max(rule.silence_at_least_s, rule.silence_times * self.longest_usual_s)

    def is_silent(self, rule: WatchRule, *, now: float, seen_since: float) -> bool:
        """Say whether it has been silent for too long, as far as anybody has looked."""
        since = max((at for at in (self.last_at, seen_since) if at <= now), default=now)
        return self.sends_often(now) and now - since > self.limit_s(rule)

    def heard(self, last_id: int, at: float, *, seen_since: float) -> "Rhythm":
        """Take in that something came, after nothing had come since `last_at`."""
        gaps = dict(self.gaps)
        today = _day(at)
        whole = seen_since <= self.last_at <= at
        gaps[today.isoformat()] = max(gaps.get(today.isoformat(), 0.0), at - self.last_at if whole else 0.0)
        oldest = (today - timedelta(days=KEPT_DAYS)).isoformat()
        # What a clock that was ahead has written lies in the future, and goes.
        kept = {day: gap for day, gap in gaps.items() if oldest < day <= today.isoformat()}
        return Rhythm(source=self.source, last_id=last_id, last_at=at, gaps=kept)


def read_rhythms(db: Connection) -> list[Rhythm]:
    """Give what is known of each source."""
    return [_rhythm(row) for row in db.execute(select(rhythms).order_by(rhythms.c.source))]


def listen(db: Connection, known: list[Rhythm], *, seen_since: float) -> list[tuple[Rhythm | None, Rhythm]]:
    """Find what came since the last look: of each source that sent, what was known and what is now.

    Looked at every few seconds, the newest event of each source is enough: a gap is known to as many seconds. An
    event that is committed behind a newer one is missed, which makes a gap longer, and never an alarm of it.
    """
    by_source = {each.source: each for each in known}
    newest: int = db.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()
    # The first time, one event of each source is all that is wanted; with no memory of it, a gap is nothing.
    after = max((each.last_id for each in known), default=0)
    rows = db.execute(
        select(events.c.source, func.max(events.c.id), func.max(events.c.received_at))
        .where(events.c.id > max(after, newest - MOST_EVENTS), events.c.source != SOURCE)
        .group_by(events.c.source)
        .order_by(events.c.source)
    )
    heard = []
    for source, last_id, at in rows:
        before = by_source.get(source)
        start = before or Rhythm(source=source, last_id=last_id, last_at=at, gaps={})
        heard.append((before, start.heard(last_id, at, seen_since=seen_since)))
    return heard


def remember(db: Connection, before: Rhythm | None, after: Rhythm) -> None:
    """Keep what is known now, unless another sweeper did."""
    row = {"last_id": after.last_id, "last_at": after.last_at, "gaps": json.dumps(after.gaps)}
    if before is None:
        db.execute(insert_or_ignore(db, rhythms), {"source": after.source, **row})
        return
    same = (rhythms.c.source == before.source, rhythms.c.last_id == before.last_id)
    db.execute(update(rhythms).where(*same).values(row))


def _rhythm(row: Row[Any]) -> Rhythm:
    return Rhythm(source=row.source, last_id=row.last_id, last_at=row.last_at, gaps=json.loads(row.gaps))


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
