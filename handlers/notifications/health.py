"""What Hookline says of itself and of its sources: one message an alarm, which says in the end that it healed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.alert import called, harmless_facts
from handlers.notifications.durations import in_words
from handlers.notifications.harmless import escape, mrkdwn
from handlers.notifications.times import in_utc
from handlers.router import handler
from ledger.alarms import Alarm, read_one
from ledger.event import Event
from ledger.own import SOURCE

TYPE = "hookline.alarm"

KIND = "health"

MOST_HANDLERS = 3

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How one kind of alarm is worded.

    Attributes:
        title: while it is open.
        what: the same after "healed after 12 min:".
        facts: up to eight, by label.
        advice: what to do, and where to look.

    """

    title: str
    what: str
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    advice: str = ""


@handler(source=SOURCE, types=[TYPE], queue="notifications")
def alarm(event: Event, ctx: Context) -> None:
    """Say how an alarm stands, in the message of its episode."""
    named = event.payload
    known = read_one(ctx.db, str(named["alarm"]))
    rule = ctx.rules.by_kind[KIND]
    # An episode that is over is not told again in the words of the next one.
    if known is None or known.episode != named["episode"] or not rule.post:
        return
    ctx.show(
        event,
        key=f"{SOURCE}/{event.external_id}",
        channel=rule.channel,
        message=called(message(known, event), rule),
        held_until=ctx.rules.due_at(rule, ctx.now),
    )


def message(known: Alarm, event: Event) -> dict[str, Any]:
    """Write an alarm's message as it must read now."""
    facts = known.facts
    words = WORDS[known.name.partition("/")[0]](facts)
    title = _title(known, words)
    rows = harmless_facts({**words.facts, **_when(known)})
    advice = [blocks.mrkdwn_section(words.advice)] if known.is_open and words.advice else []
    laid_out = [
        blocks.header(title),
        blocks.fields(rows),
        *advice,
        blocks.context(f"Hookline event {event.id} · {event.external_id}"),
    ]
    told = [mrkdwn(title), *(f"{escape(label)}: {value}" for label, value in rows)]
    return {"text": " | ".join(told), "blocks": laid_out}


def _title(known: Alarm, words: Words) -> str:
    if known.facts.get("continued"):
        return f"Goes on in a newer message: {words.what}"
    if known.is_open:
        return words.title
    return f"Healed after {in_words(known.facts['until'] - known.facts['since'])}: {words.what}"


def _when(known: Alarm) -> dict[str, str | None]:
    facts = known.facts
    times = int(facts.get("times", 1))
    return {
        "Since": in_utc(int(facts["since"])),
        "Until": None if facts["until"] is None else in_utc(int(facts["until"])),
        "How often": f"{times} times, on and off" if times > 1 else None,
    }


def _old_deliveries(facts: Facts) -> Words:
    return Words(
        title=f"Deliveries wait: {_many(facts['count'], 'is', 'are')} due, the oldest for over {_limit(facts)}",
        what=f"deliveries waited for over {_limit(facts)}",
        facts={
            "Oldest was due": in_utc(int(facts["oldest_at"])),
            "Waiting": _now(facts),
            "Most at once": _peak(facts),
            "For": _ranked(facts["handlers"]),
        },
        advice="Do workers run, and does the broker answer? `hookline doctor` looks at both. "
        "Nothing is lost: what waits is in the ledger.",
    )


def _dead_deliveries(facts: Facts) -> Words:
    parts = [
        _counted(facts["deliveries"], "delivery", "deliveries"),
        _counted(facts["messages"], "message", "messages"),
    ]
    dead = " and ".join(part for part in parts if part)
    latest = facts["latest_event"]
    return Words(
        title=f"Dead: {dead}. Nobody tries again by itself",
        what="what was dead was tried again or dismissed",
        facts={
            "Dead": _now(facts),
            "Most at once": _peak(facts),
            "For": _ranked(facts["handlers"]),
            "Latest event": latest,
        },
        advice="`hookline events list --state dead` lists their events, `hookline events get ID` says why. Then "
        "`hookline retry ID` or `hookline dismiss ID --reason TEXT`; when none is left, this message closes.",
    )


def _silence(facts: Facts) -> Words:
    source = str(facts["source"])
    return Words(
        title=f"Silence: nothing from {source} for over {_limit(facts)}",
        what=f"{source} was silent",
        facts={
            "Longest usual gap": in_words(facts["usual_s"]),
        },
        advice="Is the endpoint still enabled at the provider, and does it reach us? "
        "`hookline requests list` shows what was refused.",
    )


def _signatures(facts: Facts) -> Words:
    source = str(facts["source"])
    return Words(
        title=f"Wrong signatures: {_many(facts['count'], 'request', 'requests')} from {source} refused",
        what=f"requests from {source} had wrong signatures",
        facts={
            "Refused": f"{facts['count']:,}",
            "Latest": in_utc(int(facts["latest_at"])),
        },
        advice="A secret that was changed on one side only, or somebody who guesses. "
        "`hookline requests list` shows them, `hookline doctor` and `hookline verify` say what is wrong.",
    )


WORDS: Mapping[str, Callable[[Facts], Words]] = {
    "old_deliveries": _old_deliveries,
    "dead_deliveries": _dead_deliveries,
    "silence": _silence,
    "signatures": _signatures,
}


def _limit(facts: Facts) -> str:
    return in_words(facts["limit_s"])


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _counted(count: int, one: str, more: str) -> str:
    return _many(count, one, more) if count else ""


def _now(facts: Facts) -> str | None:
    return f"{facts['count']:,}" if facts["until"] is None else None


def _peak(facts: Facts) -> str | None:
    return f"{facts['peak']:,}" if facts["until"] is not None or facts["peak"] > facts["count"] else None


def _ranked(counts: Mapping[str, int]) -> str | None:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{name} ({count:,})" for name, count in ordered[:MOST_HANDLERS]]
    more = len(ordered) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])]) or None
