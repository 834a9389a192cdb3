"""A case: one thing that needs somebody, in one message that changes as the case does, with its history in the thread.

What is known of it is `handlers.notifications.parts`, how it looks `handlers.notifications.face`. Here it is entered,
shown where it was told, and told anew when it needs somebody again.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, select, update

from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.alert import about, called, is_wanted, named, titled
from handlers.notifications.face import LOUD, REOPENED, WORSE, Face, Kind, Whose, message_of
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.keys import MAX_CHARS
from handlers.notifications.parts import Known, Line, Part
from ledger.effects import put_in_order
from ledger.event import Event
from ledger.store import insert_or_ignore
from ledger.tables import cases, effects

QUIET, OPEN, CLOSED = "quiet", "open", "closed"


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
    known = Known.read(row["facets"])
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
    known = Known.read(row["facets"])
    face = kind.show(known.facts(), Whose(account=row["account"] or None, livemode=row["livemode"], now=ctx.now))
    if face is not None:
        _show(event, ctx, row, face, known)


def acknowledge(event: Event, ctx: Context, row: Mapping[str, Any], kind: Kind, user: str) -> None:
    """Keep who has a case in hand, and how bad it was by then."""
    known = Known.read(row["facets"])
    face = kind.show(known.facts(), Whose(account=row["account"] or None, livemode=row["livemode"], now=ctx.now))
    known.acknowledge(0 if face is None else face.gravity)
    values = {"acknowledged_by": user, "acknowledged_at": event.received_at, "facets": known.written()}
    change(event, ctx, row, kind, values)


def in_hand(row: Mapping[str, Any]) -> bool:
    """Say whether somebody has acknowledged a case as it is now."""
    return bool(row["acknowledged_by"]) and Known.read(row["facets"]).news is None


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


def _columns(face: Face, known: Known) -> dict[str, Any]:
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


def _news(row: Mapping[str, Any], face: Face, known: Known) -> str | None:
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


def _show(event: Event, ctx: Context, row: Mapping[str, Any], face: Face, known: Known) -> None:
    rule = ctx.rules.by_kind[face.rule or row["kind"]]
    ctx.show(
        event,
        key=row["key"],
        channel=row["channel"],
        message=named(called(message_of(row, face, known, ctx), rule), face.link, who=face.facts.get("Customer")),
        held_until=ctx.rules.due_at(rule, ctx.now),
        about=about(rule, livemode=row["livemode"], money=face.money, customer=face.customer, code=face.code),
        stays_folded=not face.is_open,
    )


def _tell_line(event: Event, ctx: Context, row: Mapping[str, Any], line: Line) -> None:
    tell_in_thread(event, ctx, row, name=line.name, text=mrkdwn(line.whole))
