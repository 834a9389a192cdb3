"""The course of an alarm: what one look makes of it. Nothing is read or written here."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ledger.alarms import Alarm
from workers.sight import Sight

RETELL_S = 60.0
# How often a message is changed because its figures did.

SAME_EPISODE_S = 1_800.0
TELL_ANEW_S = 86_400.0


def follow(known: Alarm | None, sight: Sight, now: float) -> Iterator[Alarm]:
    """Say what an alarm becomes, one step after the other: mostly none.

    What comes back within SAME_EPISODE_S is the same episode; what gets worse when its message is TELL_ANEW_S old is
    told in a new one.

    Args:
        known: as it was when it was looked at; None if it was never raised.
        sight: what was seen.
        now: Unix seconds.

    """
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
