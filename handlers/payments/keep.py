"""Keeps one row for each of Stripe's objects that are no payment, refund or dispute: those have tables of their own."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, bindparam, select, update

from handlers.errors import GiveUp
from handlers.payments.change import Change, Verdict
from handlers.payments.history import began_at, note
from handlers.payments.kept import Kept
from handlers.payments.kinds import Kind
from handlers.payments.merge import LASTING, PLAIN, Page, merge
from handlers.payments.tables import objects
from handlers.payments.version import Version, contradict, version_of
from handlers.reading import read_snapshot
from ledger.event import Event
from ledger.prepared import Prepared, insert_unless_known
from ledger.store import Transaction

_THIS = and_(*(column == bindparam(f"its_{column.name}") for column in objects.primary_key.columns))
_NEW = insert_unless_known(objects)
_KNOWN = Prepared(select(objects).where(_THIS).with_for_update())
_VALUES = [column.name for column in objects.columns if not column.primary_key]
_OVERWRITE = Prepared(update(objects).where(_THIS).values({name: bindparam(name) for name in _VALUES}))

Whose = Mapping[str, str | bool]


def keep(db: Transaction, event: Event, kind: Kind) -> Change:
    """Enter what an event says of an object of this kind.

    Raises:
        GiveUp: the event lacks what the book needs.

    """
    snapshot = read_snapshot(event, kind.shape)
    it = snapshot.data.object
    whose = _whose(event, it)
    told = page_of(it, kind, type_=event.type, created=snapshot.created, event_id=event.external_id)
    note(
        db,
        event,
        kind=kind.name,
        object_id=str(whose["id"]),
        version=told.version,
        facts={**told.facts, **told.details},
    )
    return _enter(db, whose, told, kind)


def page_of(it: Kept, kind: Kind, *, type_: str, created: int, event_id: str) -> Page:
    """Bring what was said of an object into the book's form."""
    state = it.state(type_)
    lifecycle = kind.lifecycle
    settled = it.settlement
    links = it.links
    version = Version(int(lifecycle.standing(state)), created, lifecycle.rank(state), event_id)
    facts = {
        "kind": kind.name,
        "state": state,
        "amount": it.money,
        "currency": it.currency,
        "failure_code": it.failure,
        "reason": it.reason,
        "customer": it.customer,
        "payment_intent": links.get("payment_intent"),
        "charge": links.get("charge"),
        "invoice": links.get("invoice"),
        "subscription": links.get("subscription"),
        "fee": settled.fee if settled else None,
        "net": settled.net if settled else None,
        "settled_currency": settled.currency if settled else None,
        "made_at": it.created,
    }
    details = {name: value for name in kind.details if (value := getattr(it, name)) is not None}
    return Page(version=version, facts=facts, details=details, known_since={}, reached={state: created})


def _enter(db: Transaction, whose: Whose, told: Page, kind: Kind) -> Change:
    its = {f"its_{name}": value for name, value in whose.items()}
    rows = db.execute(_KNOWN, its).by_name()
    if not rows:
        if db.execute(_NEW, {**whose, **_row(told, _reached_at(db, whose, told, kind))}).rowcount > 0:
            return _change(whose, Verdict.NEW, None, told)
        rows = db.execute(_KNOWN, its).by_name()  # somebody else was faster
    [row] = rows
    known = _page(row)
    after = merge(known, told, growing=kind.growing)
    reached_at = _reached_at(db, whose, after, kind)
    if after != known or reached_at != row["reached_at"]:
        db.execute(_OVERWRITE, {**its, **_row(after, reached_at)})
    return _change(whose, _verdict(known, told), known, after, contested=_contested(known, told))


def _verdict(known: Page, told: Page) -> Verdict:
    if known.version.event == told.version.event:
        return Verdict.REPEATED
    return Verdict.NEWER if told.version > known.version else Verdict.STALE


def _contested(known: Page, told: Page) -> bool:
    """Say whether two events of one second contradict each other, and nothing tells which came later."""
    return known.version.ties_with(told.version) and contradict(known.facts, told.facts, about=PLAIN)


def _change(whose: Whose, verdict: Verdict, before: Page | None, after: Page, *, contested: bool = False) -> Change:
    return Change(
        table=objects.name,
        id=str(whose["id"]),
        verdict=verdict,
        before=None if before is None else {**before.facts, **before.details},
        after={**after.facts, **after.details},
        contested=contested,
    )


def _reached_at(db: Transaction, whose: Whose, page: Page, kind: Kind) -> int:
    state = page.facts["state"]
    since = began_at(db, whose, state) if kind.lifecycle.recurs(state) else None
    return page.reached[state] if since is None else since


def _row(page: Page, reached_at: int) -> dict[str, Any]:
    trace = {"known_since": page.known_since, "reached": page.reached}
    return {
        **page.facts,
        "reached_at": reached_at,
        "details": json.dumps(page.details, sort_keys=True),
        "trace": json.dumps(trace, sort_keys=True),
        **page.version.columns,
    }


def _page(row: Mapping[str, Any]) -> Page:
    trace = json.loads(row["trace"])
    return Page(
        version=version_of(row),
        facts={name: row[name] for name in (*PLAIN, *LASTING)},
        details=json.loads(row["details"]),
        known_since={name: Version(*version) for name, version in trace["known_since"].items()},
        reached=trace["reached"],
    )


def _whose(event: Event, it: Kept) -> dict[str, str | bool]:
    if event.livemode is None:
        raise GiveUp("the event does not say whether it is about real money")
    if it.named is None:
        raise GiveUp(f"{event.type} does not say what it is about")
    return {"account": event.account or "", "livemode": event.livemode, "id": it.named}
