"""The watchman: looks every few seconds whether something is wrong, and raises, changes and closes alarms.

Too old: a delivery that is due waits. Dead: nobody tries it again. Silent: a source that sends often does not
(`ledger.rhythms` has the rule). Wrong signatures: requests are refused for them.

Any number of watchmen may look. What one sees it changes in one transaction with the message that tells of it, if
nobody changed it since it looked (`ledger.alarms`). An alarm has one message an episode: it changes as the count does,
once a minute at most, and says in the end that it healed. What comes back within half an hour is the same episode. What
gets worse when its message is a day old and far up in the channel is told in a new one.

Clocks: what happened while nobody looked, because Hookline was down, slept, or a clock was set, says nothing about the
time it took. So the watchmen keep together since when they have been looking, and count no time from before that.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from config.rules import Rules
from handlers.context import Channels, Context
from handlers.notifications import health
from ledger import alarms, own
from ledger.alarms import Alarm
from ledger.overdue import CLOCKS_DIFFER_S
from ledger.rhythms import Rhythm, listen, read_rhythms, remember
from ledger.store import Ledger, Transaction
from workers.course import follow
from workers.sight import Around, Sight

INTERVAL_S = 10.0

UNSEEN_AFTER_S = 120.0
# A longer time without a look of anybody's is one in which nobody looked.

KEEP_WATCH_S = 30.0
# How often the watch itself is written down.

WATCH = "watch"

log = structlog.get_logger()


class Watchman:
    """One of those who look."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        rules: Rules,
        channels: Channels,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is needed: `clock` gives Unix seconds."""
        self._ledger = ledger
        self._rules = rules
        self._channels = channels
        self._clock = clock
        self._monotonic = monotonic
        self._next_at = monotonic()
        self._looked: tuple[float, float] | None = None  # when it saw something last: clock, monotonic

    def look(self) -> None:
        """Look around, unless it is not yet time for the next look.

        Raises:
            LedgerUnavailable: nothing was seen.

        """
        if self._monotonic() < self._next_at:
            return
        self._next_at = self._monotonic() + INTERVAL_S
        now, unbroken = self._clock(), self._have_been_looking()
        with self._ledger.read() as db:
            known = alarms.read_all(db)
            watch = _watch(known.get(WATCH), now, unbroken=unbroken)
            seen_since = float(watch.facts["since"])
            rhythms = read_rhythms(db)
            heard = listen(db, rhythms, seen_since=seen_since)
            around = Around(db, self._rules.watch, known, now=now, seen_since=seen_since)
            sights = list(around.sights(_latest(rhythms, heard)))
        for sight in sights:
            self._judge(known.get(sight.name), sight, now)
        if heard or watch is not known.get(WATCH):
            with self._ledger.write() as db:
                for before, after in heard:
                    remember(db, before, after)
                if watch is not known.get(WATCH):
                    alarms.change(db, known.get(WATCH), watch)
        self._looked = (now, self._monotonic())

    def _have_been_looking(self) -> bool:
        """Say whether this watchman has looked all the time, by a clock that nobody set."""
        if self._looked is None:
            return False
        passed, passed_for_sure = self._clock() - self._looked[0], self._monotonic() - self._looked[1]
        return passed_for_sure < UNSEEN_AFTER_S and abs(passed - passed_for_sure) < CLOCKS_DIFFER_S

    def _judge(self, known: Alarm | None, sight: Sight, now: float) -> None:
        """Change an alarm to what was seen, and plan what tells of it."""
        changes = list(follow(known, sight, now))
        if not changes:
            return
        with self._ledger.write() as db:
            before = known
            for after in changes:
                if not alarms.change(db, before, after):
                    return  # another watchman was first
                self._tell(db, after, now)
                before = after
        latest = changes[-1]
        if known is None or known.is_open != latest.is_open:
            state = "open" if latest.is_open else "healed"
            log.warning("alarm", name=latest.name, state=state, episode=latest.episode, count=sight.count)

    def _tell(self, db: Connection, alarm: Alarm, now: float) -> None:
        if not self._rules.by_kind[health.KIND].post:
            return
        named = {"alarm": alarm.name, "episode": alarm.episode}
        mine = own.enter(
            db,
            key=f"alarm/{alarm.name}/{alarm.episode}",
            type_=health.TYPE,
            facts=named,
            handler=health.alarm.name,
            queue=health.alarm.queue,
            now=now,
        )
        context = Context(
            db=Transaction(db), channels=self._channels, delivery_id=mine.delivery_id, now=now, rules=self._rules
        )
        health.alarm.run(mine.event, context)


def _watch(known: Alarm | None, now: float, *, unbroken: bool) -> Alarm:
    """Say since when somebody has been looking all the time."""
    if known is None:
        return Alarm(name=WATCH, is_open=False, episode=1, step=1, told_at=now, facts={"since": now})
    unseen = not unbroken and abs(now - known.told_at) > UNSEEN_AFTER_S
    if unseen or known.facts["since"] > now:
        return replace(known, step=known.step + 1, told_at=now, facts={"since": now})
    if abs(now - known.told_at) < KEEP_WATCH_S:
        return known
    return replace(known, step=known.step + 1, told_at=now)


def _latest(rhythms: list[Rhythm], heard: list[tuple[Rhythm | None, Rhythm]]) -> list[Rhythm]:
    by_source = {each.source: each for each in rhythms} | {after.source: after for _, after in heard}
    return list(by_source.values())
