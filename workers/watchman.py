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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy import Connection, TextClause, func, select

from config.rules import Rules, WatchRule
from handlers.context import Channels, Context
from handlers.notifications import health
from ledger import alarms, own
from ledger.alarms import Alarm
from ledger.overdue import CLOCKS_DIFFER_S
from ledger.rhythms import Rhythm, listen, read_rhythms, remember
from ledger.store import Ledger, Transaction
from ledger.tables import DEAD, QUEUED, RUNNING, WAITING, deliveries, effects, events, requests

INTERVAL_S = 10.0

SIGNATURES_WINDOW_S = 600.0

WRONG = "signature_mismatch"
# What `receivers.provider` calls it. A signature that is missing is somebody who looks around, of whom there are many.

RETELL_S = 60.0
# How often a message is changed because its figures did.

SAME_EPISODE_S = 1_800.0
TELL_ANEW_S = 86_400.0

UNSEEN_AFTER_S = 120.0
# A longer time without a look of anybody's is one in which nobody looked.

KEEP_WATCH_S = 30.0
# How often the watch itself is written down.

WATCH = "watch"
OLD, DEAD_ONES, SILENCE, SIGNATURES = "old_deliveries", "dead_deliveries", "silence", "signatures"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one look says of one thing.

    Attributes:
        name: of its alarm.
        opens: it is wrong enough to say so.
        heals: it is well enough to say so; between the two, nothing changes.
        count: how many, for what is worse when it is more.
        facts: what its message needs.
        since, until: from and to when, where that is known better than by when it was seen (Unix seconds).

    """

    name: str
    opens: bool
    heals: bool
    count: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    since: float | None = None
    until: float | None = None


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
            around = _Around(db, self._rules.watch, known, now=now, seen_since=seen_since)
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
        changes = list(_changes(known, sight, now))
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


def _changes(known: Alarm | None, sight: Sight, now: float) -> Iterator[Alarm]:
    """Say what an alarm becomes: mostly nothing."""
    if known is None or not known.is_open:
        if sight.opens:
            yield _opened(known, sight, now)
        return
    if sight.heals:
        until = now if sight.until is None else sight.until
        yield _stepped(known, now, is_open=False, until=max(until, known.facts["since"]))
        return
    facts = {**known.facts, **sight.facts, **_count(sight, known)}
    if facts == known.facts or abs(now - known.told_at) < RETELL_S:
        return
    if sight.count > known.facts["count"] and now - known.facts["posted_at"] >= TELL_ANEW_S:
        yield _stepped(known, now, continued=True)
        anew = {**facts, "posted_at": now}
        yield Alarm(name=known.name, is_open=True, episode=known.episode + 1, step=1, told_at=now, facts=anew)
        return
    yield _stepped(known, now, **facts)


def _opened(known: Alarm | None, sight: Sight, now: float) -> Alarm:
    if known is not None and known.facts["until"] <= now < known.facts["until"] + SAME_EPISODE_S:
        again = {**sight.facts, **_count(sight, known), "times": known.facts["times"] + 1, "until": None}
        return _stepped(known, now, is_open=True, **again)
    since = now if sight.since is None else sight.since
    facts = {**sight.facts, **_count(sight, None), "since": since, "posted_at": now, "until": None, "times": 1}
    episode = 1 if known is None else known.episode + 1
    return Alarm(name=sight.name, is_open=True, episode=episode, step=1, told_at=now, facts=facts)


def _stepped(known: Alarm, now: float, *, is_open: bool = True, **facts: Any) -> Alarm:  # noqa: ANN401  # JSON
    return replace(known, is_open=is_open, step=known.step + 1, told_at=now, facts={**known.facts, **facts})


def _count(sight: Sight, known: Alarm | None) -> dict[str, int]:
    before = 0 if known is None else int(known.facts["peak"])
    return {"count": sight.count, "peak": max(before, sight.count)}


class _Around:
    """What there is to see in one state of the ledger."""

    def __init__(
        self, db: Connection, rule: WatchRule, known: Mapping[str, Alarm], *, now: float, seen_since: float
    ) -> None:
        self._db = db
        self._rule = rule
        self._open = {name: alarm for name, alarm in known.items() if alarm.is_open}
        self._now = now
        self._seen_since = seen_since

    def sights(self, rhythms: list[Rhythm]) -> Iterator[Sight]:
        yield self._old()
        yield self._dead()
        yield from (self._silence(each) for each in rhythms)
        yield from self._signatures()

    def _old(self) -> Sight:
        due = deliveries.c.due_at <= self._now
        oldest = [self._db.execute(select(func.min(deliveries.c.due_at)).where(each, due)).scalar() for each in _OWED]
        oldest_at = min((at for at in oldest if at is not None), default=self._now)
        age_s, limit_s = self._now - max(oldest_at, self._seen_since), self._rule.oldest_delivery_s
        opens, heals = age_s > limit_s, age_s < limit_s / 2
        if heals or not (opens or OLD in self._open):
            return Sight(name=OLD, opens=opens, heals=heals)
        waiting: dict[str, int] = {}
        for each in _OWED:
            for handler, count in self._db.execute(_by_handler(each).where(due)):
                waiting[handler] = waiting.get(handler, 0) + count
        facts = {"oldest_at": int(oldest_at), "limit_s": limit_s, "handlers": waiting}
        return Sight(name=OLD, opens=opens, heals=heals, count=sum(waiting.values()), facts=facts)

    def _dead(self) -> Sight:
        by_handler: dict[str, int] = dict(self._db.execute(_by_handler(DEAD)).all())
        messages: int = self._db.execute(_DEAD_MESSAGES).scalar_one()
        count = sum(by_handler.values()) + messages
        facts = {
            "deliveries": sum(by_handler.values()),
            "messages": messages,
            "handlers": by_handler,
            "latest_event": self._db.execute(_LATEST_DEAD).scalar(),
        }
        return Sight(name=DEAD_ONES, opens=count > 0, heals=count == 0, count=count, facts=facts)

    def _silence(self, rhythm: Rhythm) -> Sight:
        opens = rhythm.is_silent(self._rule, now=self._now, seen_since=self._seen_since)
        facts = {
            "source": rhythm.source,
            "usual_s": int(rhythm.longest_usual_s),
            "limit_s": int(rhythm.limit_s(self._rule)),
        }
        heals = self._now - rhythm.last_at < rhythm.limit_s(self._rule) and not opens
        at = rhythm.last_at  # of the event before the silence, and later of the one after it
        return Sight(name=f"{SILENCE}/{rhythm.source}", opens=opens, heals=heals, facts=facts, since=at, until=at)

    def _signatures(self) -> Iterator[Sight]:
        latest = self._wrong_since(self._now - SIGNATURES_WINDOW_S)
        names = {f"{SIGNATURES}/{source}" for source in latest}
        for name in sorted(names | {name for name in self._open if name.startswith(f"{SIGNATURES}/")}):
            source = name.partition("/")[2]
            recent, latest_at = latest.get(source, (0, None))
            count = self._all_of(name, source) if recent else 0
            facts = {} if latest_at is None else {"source": source, "latest_at": int(latest_at)}
            opens = recent >= self._rule.signature_failures
            yield Sight(name=name, opens=opens, heals=recent == 0, count=count or recent, facts=facts)

    def _all_of(self, name: str, source: str) -> int:
        """Count what belongs to an alarm that is open: the newest 10,000 requests are kept, which is enough to know."""
        if name not in self._open:
            return 0
        count, _ = self._wrong_since(self._open[name].facts["since"] - SIGNATURES_WINDOW_S).get(source, (0, None))
        return count

    def _wrong_since(self, since: float) -> dict[str, tuple[int, float | None]]:
        """Count the requests with a wrong signature, by source, and give the time of the latest."""
        statement = (
            select(requests.c.source, func.count(), func.max(requests.c.received_at))
            .where(
                requests.c.reason == WRONG,
                requests.c.received_at > since,
                requests.c.received_at <= self._now + CLOCKS_DIFFER_S,
            )
            .group_by(requests.c.source)
        )
        return {source: (count, latest_at) for source, count, latest_at in self._db.execute(statement)}


_OWED = (WAITING, QUEUED, RUNNING)

_DEAD_MESSAGES = (
    select(func.count())
    .select_from(effects.join(events, events.c.id == effects.c.event_id))
    # A complaint that Slack does not take is no reason for the next one.
    .where(DEAD, events.c.source != own.SOURCE)
)
_LATEST_DEAD = select(func.max(deliveries.c.event_id)).where(DEAD)


def _by_handler(condition: TextClause) -> Any:  # noqa: ANN401  # a Select, whose type says nothing
    return select(deliveries.c.handler, func.count()).where(condition).group_by(deliveries.c.handler)
