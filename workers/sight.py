"""What a watchman sees in one state of the ledger: what waits too long, is dead, is silent, or is wrongly signed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, TextClause, func, select

from config.rules import WatchRule
from ledger import own
from ledger.alarms import Alarm
from ledger.overdue import CLOCKS_DIFFER_S
from ledger.rhythms import Rhythm
from ledger.tables import DEAD, QUEUED, RUNNING, WAITING, deliveries, effects, events, requests

SIGNATURES_WINDOW_S = 600.0

WRONG = "signature_mismatch"
# What `receivers.provider` calls it. A signature that is missing is somebody who looks around, of whom there are many.

OLD, DEAD_ONES, SILENCE, SIGNATURES = "old_deliveries", "dead_deliveries", "silence", "signatures"


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


class Around:
    """What there is to see in one state of the ledger."""

    def __init__(
        self, db: Connection, rule: WatchRule, known: Mapping[str, Alarm], *, now: float, seen_since: float
    ) -> None:
        self._db = db
        self._rule = rule
        self._open = {name: alarm for name, alarm in known.items() if alarm.is_open}
        self._now = now
        self._seen_since = seen_since

    def sights(self, rhythms: Iterable[Rhythm]) -> Iterator[Sight]:
        """Look at everything; each thing that may be wrong has a sight."""
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
