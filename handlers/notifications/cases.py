"""A case: one thing that needs somebody, in one message that changes as the case does, with its history in the thread.

What is known of a case comes in parts, each from the events of one object. Of each part the greatest version counts,
so the message is the same in the end whatever the order or number of arrivals. A version compares, in this order:
a state that is never left before others; then when the event was created; then how far on the state is; then the
event's id, which decides nothing but the same everywhere.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, select, update

from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.alert import TEST_MODE, Link, about, called, harmless_facts, is_wanted, named, titled
from handlers.notifications.blocks import Block
from handlers.notifications.harmless import escape, mrkdwn
from handlers.notifications.keys import MAX_CHARS
from handlers.notifications.times import in_utc
from handlers.payments.money import Money
from ledger.effects import put_in_order
from ledger.event import Event
from ledger.store import insert_or_ignore
from ledger.tables import cases, effects

ACKNOWLEDGE, SNOOZE, REPLAY, OPEN_PAGE = "acknowledge", "snooze", "replay", "open"

QUIET, OPEN, CLOSED = "quiet", "open", "closed"

Facts = Mapping[str, Any]
Parts = Mapping[str, Facts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one event says of one side of a case.

    Attributes:
        name: of the side: `dispute`, `invoice`, `subscription`.
        standing: 1 where the state is never left, else 0; more, where something only ever grows.
        created: when the event happened (Unix seconds).
        rank: how far on the state is, within one second.
        facts: what is known; JSON.
        said_by: the id and type of the event that says it, where that is not the one that is entered.

    """

    name: str
    standing: int
    created: int
    rank: int
    facts: Facts
    said_by: tuple[str, str] | None = None


def known_part(name: str, facts: Facts) -> list[Part]:
    """Make a part of what the book knows, if it knows anything: the more it knows, the better."""
    rank = sum(fact is not None for fact in facts.values())
    return [Part(name=name, standing=0, created=0, rank=rank, facts=facts, said_by=("", ""))] if facts else []


@dataclass(frozen=True, slots=True)
class Line:
    """What is added to a case's thread, once under its name.

    Attributes:
        name: what it is told once under.
        text: what is told.
        at: when it happened, to be told with it (Unix seconds).
        rank: where it belongs among those of one second.

    """

    name: str
    text: str
    at: int | None = None
    rank: int = 0

    @property
    def whole(self) -> str:
        """The text, with its time where it has one: lines can be told long after, or in another order."""
        return self.text if self.at is None else f"{self.text} ({in_utc(self.at)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How a case looks now.

    Attributes:
        title: what it is, how much it is about, and where it stands.
        status: where it stands, in a few words.
        is_open: somebody may still have to do something.
        facts: up to nine, by label.
        due_by: until when something has to be done (Unix seconds).
        opened_at: since when it is so, as the provider says (Unix seconds).
        code: the reason, as the provider has it.
        gravity: how bad it is, while it is open: who acknowledged less has not acknowledged this.
        rule: which rule is for it as it is now (`config.rules.KINDS`); unset, that of its kind.

    """

    title: str
    status: str
    is_open: bool
    opened_at: int
    gravity: int = 0
    rule: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    link: Link | None = None
    money: Money | None = None
    customer: str | None = None
    code: str | None = None
    due_by: int | None = None


Show = Callable[[Parts, "Whose"], Face | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose money a case is about, and when it is looked at (Unix seconds)."""

    account: str | None
    livemode: bool | None
    now: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of case.

    Attributes:
        name: of its rule (`config.rules.KINDS`).
        show: says how a case of this kind looks, given its parts; None while there is nothing to tell.

    """

    name: str
    show: Show


def enter(
    event: Event, ctx: Context, kind: Kind, *, key: str, parts: Sequence[Part], lines: Sequence[Line] = ()
) -> None:
    """Enter what an event says of a case; post its message, or change it where it is.

    Args:
        event: what says it.
        ctx: the run.
        kind: of the case.
        key: the case's business key, and that of its message.
        parts: what the event says; at least one.
        lines: what it adds to the thread.

    """
    row = _take(event, ctx, kind, key)
    known = _Known.read(row["facets"])
    for part in parts:
        known.take(part, event)
    fresh = [line for line in lines if known.add(line, parts[0].created)]
    face = kind.show(known.facts(), Whose(account=event.account, livemode=row["livemode"], now=ctx.now))
    if face is None:
        _save(ctx, key, {"facets": known.written()})
        return
    # Told before there were cases of its kind: whoever read that knows nothing of what there is to do now.
    is_older = row["was"] == QUIET and _is_in_slack(ctx, key)
    news = REOPENED if is_older and face.is_open else _news(row, face, known)
    known.tell(news)
    row |= _columns(face, known) | {"event_id": event.id, "channel": _channel(ctx, row, face)}
    if news is not None:
        row |= {"snoozed_until": None}
    _save(ctx, key, {name: row[name] for name in _CHANGING} | {"facets": known.written()})
    if not _is_told(ctx, row, face):
        return
    _show(event, ctx, row, face, known)
    if news is not None and (row["ts"] is not None or is_older):
        _call_again(event, ctx, row, face, news)
    # What came before there was anything to tell is told now.
    for line in known.lines() if row["was"] == QUIET else fresh:
        _tell_line(event, ctx, row, line)
    if fresh:
        put_in_order(ctx.db, [thread_key(key, line.name) for line in known.lines()])


def change(event: Event, ctx: Context, row: Mapping[str, Any], kind: Kind, values: Mapping[str, Any]) -> None:
    """Change a case's row, because somebody did something with it, and its message."""
    _save(ctx, row["key"], values)
    row = {**row, **values}
    known = _Known.read(row["facets"])
    face = kind.show(known.facts(), Whose(account=row["account"] or None, livemode=row["livemode"], now=ctx.now))
    if face is not None:
        _show(event, ctx, row, face, known)


def acknowledge(event: Event, ctx: Context, row: Mapping[str, Any], kind: Kind, user: str) -> None:
    """Keep who has a case in hand, and how bad it was by then."""
    known = _Known.read(row["facets"])
    face = kind.show(known.facts(), Whose(account=row["account"] or None, livemode=row["livemode"], now=ctx.now))
    known.acknowledge(0 if face is None else face.gravity)
    values = {"acknowledged_by": user, "acknowledged_at": event.received_at, "facets": known.written()}
    change(event, ctx, row, kind, values)


def in_hand(row: Mapping[str, Any]) -> bool:
    """Say whether somebody has acknowledged a case as it is now."""
    return bool(row["acknowledged_by"]) and _Known.read(row["facets"]).news is None


def tell_in_thread(event: Event, ctx: Context, row: Mapping[str, Any], *, name: str, text: str) -> None:
    """Add a line to a case's thread; `text` is harmless already."""
    message = {"text": text, "blocks": [blocks.mrkdwn_section(text)]}
    _plan_line(event, ctx, row, message, name=name, rule=row["kind"])


def _plan_line(
    event: Event, ctx: Context, row: Mapping[str, Any], message: Mapping[str, Any], *, name: str, rule: str
) -> None:
    ctx.plan(
        event,
        key=thread_key(row["key"], name),
        parent=row["key"],
        channel=row["channel"],
        message=message,
        held_until=ctx.rules.due_at(ctx.rules.by_kind[rule], ctx.now),
    )


def _call_again(event: Event, ctx: Context, row: Mapping[str, Any], face: Face, news: str) -> None:
    """Be loud: that a message was changed, nobody is notified of. The channel sees this line as well."""
    rule = face.rule or row["kind"]
    mention = ctx.rules.by_kind[rule].mention
    call = f"{mention} " if mention else ""
    title = mrkdwn(titled(face.title, livemode=row["livemode"]))
    text = f"{call}{LOUD[news]}: {title}; {mrkdwn(face.status)}"
    message = {"text": text, "blocks": [blocks.mrkdwn_section(text)], "broadcast": True}
    _plan_line(event, ctx, row, message, name=f"again/{int(row['changed_at'])}", rule=rule)


def is_in_thread(ctx: Context, row: Mapping[str, Any], name: str) -> bool:
    """Say whether a line was added to a case's thread."""
    return ctx.db.execute(_TOLD, {"its_key": thread_key(row["key"], name)}).first() is not None


def thread_key(key: str, name: str) -> str:
    """Name one line in the thread of a case."""
    whole = f"{key}/{name}"
    return whole if len(whole) <= MAX_CHARS else sha256(whole.encode()).hexdigest()


def take_row(ctx: Context, key: str) -> dict[str, Any] | None:
    """Give a case's row, and hold it until the end of the transaction."""
    row = ctx.db.execute(_TAKE, {"its_key": key}).mappings().first()
    return None if row is None else dict(row)


_TAKE = select(cases).where(cases.c.key == bindparam("its_key")).with_for_update()
_TOLD = select(effects.c.id).where(effects.c.key == bindparam("its_key"))
_SENT = _TOLD.where(effects.c.ts.is_not(None))

REOPENED, WORSE = "reopened", "worse"

LOUD = {REOPENED: "Needs somebody now", WORSE: "Got worse since it was acknowledged"}
BEFORE = {REOPENED: "before it was opened again", WORSE: "before it got worse"}

SNOOZED = "Snoozed until"

_CHANGING = (
    "state",
    "status",
    "title",
    "amount",
    "currency",
    "due_by",
    "opened_at",
    "changed_at",
    "closed_at",
    "event_id",
    "channel",
    "snoozed_until",
)


class _Known:
    """All that is known of a case: its parts with their versions, its lines, and what was new since it was in hand."""

    def __init__(self, parts: dict[str, Any], lines: dict[str, Any], acknowledged: dict[str, Any] | None) -> None:
        self._parts = parts
        self._lines = lines
        self._acknowledged = acknowledged

    @classmethod
    def read(cls, facets: str) -> "_Known":
        whole = json.loads(facets)
        return cls(whole.get("parts", {}), whole.get("lines", {}), whole.get("acknowledged"))

    @property
    def news(self) -> str | None:
        """What has happened since somebody had it in hand: that it was opened again, or got worse."""
        news: str | None = (self._acknowledged or {}).get("news")
        return news

    def acknowledge(self, gravity: int) -> None:
        """Keep how bad it was when somebody took it in hand."""
        self._acknowledged = {"gravity": gravity}

    def is_worse(self, gravity: int) -> bool:
        """Say whether it is worse than what somebody took in hand."""
        return self._acknowledged is not None and gravity > self._acknowledged["gravity"]

    def tell(self, news: str | None) -> None:
        """Keep that what somebody took in hand is not what there is now."""
        if news is not None and self._acknowledged is not None:
            self._acknowledged = {**self._acknowledged, "news": news}

    def take(self, part: Part, event: Event) -> None:
        """Keep a part, unless a greater version of it is known."""
        external_id, type_ = part.said_by or (event.external_id, event.type)
        version = [part.standing, part.created, part.rank, external_id]
        known = self._parts.get(part.name)
        if known is None or known["version"] < version:
            self._parts[part.name] = {"version": version, "type": type_, "facts": dict(part.facts)}

    def add(self, line: Line, entered_at: int) -> bool:
        """Keep a line, since when it is first so. Say whether it is new."""
        at = entered_at if line.at is None else line.at
        if line.name in self._lines:
            self._lines[line.name]["at"] = min(at, self._lines[line.name]["at"])
            return False
        self._lines[line.name] = {"text": line.whole, "at": at, "rank": line.rank}
        return True

    def facts(self) -> Parts:
        return {name: part["facts"] for name, part in self._parts.items()}

    def lines(self) -> list[Line]:
        ordered = sorted(self._lines.items(), key=lambda item: (item[1]["at"], item[1].get("rank", 0), item[0]))
        return [Line(name, line["text"]) for name, line in ordered]

    def changed_at(self) -> int:
        return max(int(part["version"][1]) for part in self._parts.values())

    def origin(self) -> str:
        """Name the event that has the last word."""
        last = max(self._parts.values(), key=lambda part: part["version"][1:])
        return f"{last['version'][3]} · {last['type']}"

    def written(self) -> str:
        whole = {"parts": self._parts, "lines": self._lines}
        if self._acknowledged is not None:
            whole["acknowledged"] = self._acknowledged
        return json.dumps(whole, sort_keys=True)


def _take(event: Event, ctx: Context, kind: Kind, key: str) -> dict[str, Any]:
    fresh = {
        "key": key,
        "kind": kind.name,
        "account": event.account or "",
        "livemode": event.livemode,
        "state": QUIET,
        "status": "",
        "title": "",
        "facets": "{}",
        "opened_at": ctx.now,
        "changed_at": ctx.now,
        "channel": ctx.rules.by_kind[kind.name].channel,
    }
    ctx.db.execute(insert_or_ignore(ctx.db, cases), fresh)
    row = dict(ctx.db.execute(_TAKE, {"its_key": key}).mappings().one())
    return row | {"was": row["state"]}


def _save(ctx: Context, key: str, values: Mapping[str, Any]) -> None:
    ctx.db.execute(update(cases).where(cases.c.key == bindparam("its_key")).values(**values), {"its_key": key})


def _columns(face: Face, known: _Known) -> dict[str, Any]:
    return {
        "state": OPEN if face.is_open else CLOSED,
        "status": face.status,
        "title": face.title,
        "amount": face.money and face.money.amount,
        "currency": face.money and face.money.currency,
        "due_by": face.due_by if face.is_open else None,
        "opened_at": face.opened_at,
        "changed_at": known.changed_at(),
        "closed_at": None if face.is_open else known.changed_at(),
    }


def _news(row: Mapping[str, Any], face: Face, known: _Known) -> str | None:
    """Say what is new to those who thought that it was over, or in hand."""
    if not face.is_open:
        return None
    if row["was"] == CLOSED:
        return REOPENED
    return WORSE if known.news is None and known.is_worse(face.gravity) else None


def _channel(ctx: Context, row: Mapping[str, Any], face: Face) -> str:
    """Say where it is told: where it was told before, or where the rule says that is for it now."""
    if _was_told(ctx, row["key"]):
        return str(row["channel"])
    return ctx.rules.by_kind[face.rule or row["kind"]].channel


def _is_told(ctx: Context, row: Mapping[str, Any], face: Face) -> bool:
    """Say whether its rule wants it. What was told once is told on."""
    return is_wanted(ctx.rules.by_kind[face.rule or row["kind"]], face.money) or _was_told(ctx, row["key"])


def _was_told(ctx: Context, key: str) -> bool:
    return ctx.db.execute(_TOLD, {"its_key": key}).first() is not None


def _is_in_slack(ctx: Context, key: str) -> bool:
    return ctx.db.execute(_SENT, {"its_key": key}).first() is not None


def _show(event: Event, ctx: Context, row: Mapping[str, Any], face: Face, known: _Known) -> None:
    rule = ctx.rules.by_kind[face.rule or row["kind"]]
    ctx.show(
        event,
        key=row["key"],
        channel=row["channel"],
        message=named(called(_message(row, face, known, ctx), rule), face.link, who=face.facts.get("Customer")),
        held_until=ctx.rules.due_at(rule, ctx.now),
        about=about(rule, livemode=row["livemode"], money=face.money, customer=face.customer, code=face.code),
        stays_folded=not face.is_open,
    )


def _tell_line(event: Event, ctx: Context, row: Mapping[str, Any], line: Line) -> None:
    tell_in_thread(event, ctx, row, name=line.name, text=mrkdwn(line.whole))


def _message(row: Mapping[str, Any], face: Face, known: _Known, ctx: Context) -> dict[str, Any]:
    title = titled(face.title, livemode=row["livemode"])
    facts = harmless_facts({"State": face.status, **face.facts})
    made: list[Block] = [blocks.header(title), blocks.fields(facts)]
    if done := _done(row, known, ctx.now):
        made.append({"elements": [blocks.mrkdwn_text(each) for each in done], "type": "context"})
    if buttons := _buttons(row, face, known, ctx.allowed_users):
        made.append({"elements": buttons, "type": "actions"})
    small = [" · ".join(part for part in (known.origin(), row["account"]) if part)]
    made.append(blocks.context(*small, *([TEST_MODE] if row["livemode"] is False else [])))
    text = " | ".join([mrkdwn(title), *(f"{escape(label)}: {value}" for label, value in facts)])
    return {"text": text, "blocks": made}


def _done(row: Mapping[str, Any], known: _Known, now: float) -> list[str]:
    """Say who has it in hand. Their ids were checked when they pressed."""
    done = []
    if row["acknowledged_by"]:
        before = f", {BEFORE[known.news]}" if known.news else ""
        done.append(f"Acknowledged by <@{row['acknowledged_by']}>, {in_utc(int(row['acknowledged_at']))}{before}")
    if row["snoozed_until"] and row["state"] == OPEN and row["snoozed_until"] > now:
        done.append(f"{SNOOZED} {in_utc(int(row['snoozed_until']))}")
    return done


def without_snooze(laid_out: Sequence[Block]) -> list[Block]:
    """Take out of a message's blocks that it is snoozed: the time is over."""
    kept: list[Block] = []
    for block in laid_out:
        elements = block.get("elements", []) if block["type"] == "context" else []
        awake = [each for each in elements if not str(each["text"]).startswith(SNOOZED)]
        if not elements or awake:
            kept.append({**block, "elements": awake} if elements else block)
    return kept


def _buttons(row: Mapping[str, Any], face: Face, known: _Known, users: Collection[str]) -> list[Block]:
    """Offer what can be done. Without anybody who may press, only the link, which Slack opens by itself."""
    made: list[Block | None] = []
    if users and face.is_open:
        if not row["acknowledged_by"] or known.news is not None:
            made.append(blocks.button("Acknowledge", action=ACKNOWLEDGE, value=row["key"], style="primary"))
        made.append(blocks.button("Snooze 24 h", action=SNOOZE, value=row["key"]))
    if face.link is not None:
        made.append(blocks.link_button(face.link.label, action=OPEN_PAGE, url=face.link.url))
    if users:
        made.append(blocks.button("Replay", action=REPLAY, value=row["key"]))
    return [each for each in made if each is not None]
