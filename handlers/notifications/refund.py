"""Refunds: one message each, which changes as the refund does. One that failed is open until it is made anew.

Made anew is that later refunds of the same payment have succeeded at some time, one of at least as much or several that
come to as much. What becomes of those later is told of themselves. They may be heard of, and come into the book, before
or after the failure: whichever comes last closes the case.

Not from `charge.refunded` or `charge.refund.updated`: they come beside the refund's own events, and say the same.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, exists, or_, select

from handlers.context import Context
from handlers.notifications import cases
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import page_link, stripe_link
from handlers.notifications.face import Face, Kind, Whose
from handlers.notifications.keys import stripe_key
from handlers.notifications.parts import Line, Part, Parts, known_part
from handlers.notifications.reasons import REFUND_FAILURES, in_words, with_code
from handlers.payments.lifecycle import REFUND
from handlers.payments.money import Money
from handlers.payments.objects import Refund
from handlers.payments.payer import paid_by
from handlers.payments.tables import history, refunds
from handlers.reading import read_object, read_snapshot
from handlers.router import handler
from ledger import tables
from ledger.event import Event

SUCCEEDED, FAILED, CANCELED = "succeeded", "failed", "canceled"

RULE_OF_FAILED = "failed_refund"

STATES: Mapping[str, str] = {
    "pending": "on its way to the customer",
    "requires_action": "Stripe has asked the customer where to send it",
    SUCCEEDED: "sent to the customer",
    CANCELED: "canceled: the money stays with us",
}

WHAT_TO_DO: Mapping[str, str] = {
    "charge_for_pending_refund_disputed": "the payment is disputed: do not pay twice, answer the dispute",
    "insufficient_funds": "nothing was sent: top up our Stripe balance and refund again",
    "merchant_request": "stopped at our request: the money is back in our Stripe balance",
}
# By the code of the failure; of all others the next is true.

PAY_BACK = "the money is back in our Stripe balance: pay the customer back in another way"


@handler(source="stripe", types=["refund.created", "refund.updated", "refund.failed"], queue="notifications")
def refund(event: Event, ctx: Context) -> None:
    """Keep one message for each refund."""
    snapshot = read_snapshot(event, Refund)
    made = snapshot.data.object
    state = FAILED if event.type == "refund.failed" else made.status or "pending"
    part = _part("refund", snapshot.created, state, _facts(made, state, snapshot.created))
    lines = _lines(made, state, snapshot.created)
    key = stripe_key(event, KIND.name, made.id)
    payer = known_part("payer", paid_by(ctx.db, event, made.payment_intent or made.charge))
    cases.enter(event, ctx, KIND, key=key, parts=[part, *payer], lines=lines)
    if state == FAILED:
        _heal_at_once(event, ctx, key, made)
        _tell_elsewhere(event, ctx, key, made)
    elif state == SUCCEEDED:
        _heal(event, ctx, made)


def made_anew(event: Event, ctx: Context) -> None:
    """Close what this refund makes good, now that the book has it: nobody who fails from now on overlooks it."""
    made = read_object(event, Refund)
    if made.status == SUCCEEDED:
        _heal(event, ctx, made)


def _part(name: str, created: int, state: str, facts: Mapping[str, Any]) -> Part:
    standing = int(REFUND.standing(state))
    return Part(name=name, standing=standing, created=created, rank=REFUND.rank(state), facts=facts)


def _facts(made: Refund, state: str, created: int) -> dict[str, Any]:
    return {
        "state": state,
        "at": created,
        "id": made.id,
        "amount": made.amount,
        "currency": made.currency,
        "payment": made.payment_intent or made.charge,
        "reason": made.reason,
        "failure": made.failure_reason,
        "made_at": made.created or created,
    }


def _lines(made: Refund, state: str, created: int) -> list[Line]:
    """Tell the history of those only that did not go as usual: of the others there is nothing to tell but them."""
    ends = {
        FAILED: f"Failed: {in_words(made.failure_reason, REFUND_FAILURES)}. {made.money.display()} did not arrive.",
        CANCELED: f"Canceled: {made.money.display()} stay with us.",
    }
    if state not in ends:
        return []
    first = [Line("made", f"Refund of {made.money.display()} made.", made.created)] if made.created else []
    return [*first, Line(state, ends[state], created, rank=1)]


def _tell_elsewhere(event: Event, ctx: Context, key: str, made: Refund) -> None:
    """Tell a failure also where failures are to be told, if the refund was told in another channel."""
    rule, row = ctx.rules.by_kind[RULE_OF_FAILED], cases.take_row(ctx, key)
    if row is None or row["channel"] == rule.channel or row["state"] != cases.OPEN:
        return
    payment = made.payment_intent or made.charge
    alert = Alert(
        title=f"Refund failed: {made.money.display()} ({in_words(made.failure_reason, REFUND_FAILURES)})",
        facts={
            "State": _what_to_do(made.failure_reason),
            "Why it failed": with_code(made.failure_reason, REFUND_FAILURES),
            "Payment": payment,
            "Refund": made.id,
        },
        link=stripe_link(event, "payments", payment) if payment else None,
        kind=RULE_OF_FAILED,
        money=made.money,
        code=made.failure_reason,
    )
    alert.post(event, ctx, key=stripe_key(event, RULE_OF_FAILED, made.id))


def _heal(event: Event, ctx: Context, made: Refund) -> None:
    """Close what failed of the same payment, if it was refunded anew."""
    statement = select(tables.cases.c.key, tables.cases.c.facets).where(
        tables.OPEN,
        tables.cases.c.kind == KIND.name,
        tables.cases.c.account == (event.account or ""),
        tables.cases.c.livemode == event.livemode,
    )
    for row in ctx.db.execute(statement.order_by(tables.cases.c.key)).all():
        if _is_later(made, _failed(row.facets)):
            _heal_at_once(event, ctx, row.key, made)


def _is_later(made: Refund, failed: Mapping[str, Any]) -> bool:
    """Say whether a refund may take the place of one that failed; `_LATER` says it of those in the book."""
    payment = made.payment_intent or made.charge
    if payment is None or made.created is None or made.id == failed["id"]:
        return False
    return (payment, made.currency) == (failed["payment"], failed["currency"]) and made.created >= failed["failed_at"]


def _failed(facets: str) -> dict[str, Any]:
    """Give what is known of a refund that failed, and when that was first so: it may be said again, in any order."""
    known = json.loads(facets)
    return {**known["parts"]["refund"]["facts"], "failed_at": known["lines"][FAILED]["at"]}


def _heal_at_once(event: Event, ctx: Context, key: str, heard: Refund) -> None:
    """Close what failed, where the refunds that took its place are in the book, but for the one just heard of."""
    # Holds the row: of two that come to as much together only, the second one finds the first one in the book.
    row = cases.take_row(ctx, key)
    if row is None or row["state"] != cases.OPEN:
        return
    failed = _failed(row["facets"])
    which = {
        "its_account": event.account or "",
        "its_mode": event.livemode,
        "its_id": failed["id"],
        "its_payment": failed["payment"],
        "its_currency": failed["currency"],
        "failed_at": failed["failed_at"],
    }
    later = [_Later(each.made_at, each.id, each.amount) for each in ctx.db.execute(_LATER, which)]
    if heard.status == SUCCEEDED and _is_later(heard, failed) and heard.id not in {each.id for each in later}:
        later.append(_Later(heard.created or 0, heard.id, heard.amount))
    if instead := _as_much_as(failed["amount"], sorted(later)):
        _close(event, ctx, key, instead)


class _Later(NamedTuple):
    """A refund that succeeded after another one had failed."""

    made_at: int
    id: str
    amount: int


def _as_much_as(amount: int, later: Sequence[_Later]) -> Sequence[_Later]:
    """Give the first one that is as much by itself, else the first ones that are together, else none."""
    for each in later:
        if each.amount >= amount:
            return [each]
    sums = list(accumulate(each.amount for each in later))
    return later[: bisect_left(sums, amount) + 1] if sums and sums[-1] >= amount else []


def _close(event: Event, ctx: Context, key: str, instead: Sequence[_Later]) -> None:
    last = instead[-1]
    by = last.id if len(instead) == 1 else f"{len(instead)} refunds, the last {last.id}"
    said_by = (last.id, "refund.created")
    part = Part(name="anew", standing=0, created=last.made_at, rank=0, facts={"id": by}, said_by=said_by)
    line = Line(f"anew/{last.id}", f"Healed: refunded anew ({by}).", last.made_at)
    cases.enter(event, ctx, KIND, key=key, parts=[part], lines=[line])


_SUCCEEDED_ONCE = exists().where(
    history.c.account == refunds.c.account,
    history.c.livemode == refunds.c.livemode,
    history.c.object_id == refunds.c.id,
    history.c.kind == "refund",
    history.c.rank == REFUND.rank(SUCCEEDED),
)
_LATER = select(refunds.c.id, refunds.c.made_at, refunds.c.amount).where(
    refunds.c.account == bindparam("its_account"),
    refunds.c.livemode == bindparam("its_mode"),
    refunds.c.id != bindparam("its_id"),
    or_(
        refunds.c.payment_intent == bindparam("its_payment"),
        and_(refunds.c.payment_intent.is_(None), refunds.c.charge == bindparam("its_payment")),
    ),
    refunds.c.currency == bindparam("its_currency"),
    refunds.c.made_at >= bindparam("failed_at"),
    # An older version of Hookline wrote no history.
    or_(refunds.c.status == SUCCEEDED, _SUCCEEDED_ONCE),
)


def show(parts: Parts, whose: Whose) -> Face:
    """Say how a refund looks."""
    it, anew = parts["refund"], parts.get("anew")
    state, money = str(it["state"]), Money(it["amount"], it["currency"])
    failed = state == FAILED
    customer = parts.get("payer", {}).get("customer")
    why = f" ({in_words(it['failure'], REFUND_FAILURES)})" if failed else ""
    status = STATES.get(state, state.replace("_", " "))
    if failed:
        status = f"refunded anew ({anew['id']})" if anew else _what_to_do(it["failure"])
    return Face(
        title=f"{_title(state, anew is not None)}: {money.display()}{why}",
        status=status,
        is_open=failed and anew is None and it["failure"] != "merchant_request",
        opened_at=it["at"] if failed else it["made_at"],
        facts={
            "Why it failed": with_code(it["failure"], REFUND_FAILURES) if failed else None,
            "Reason": it["reason"] and it["reason"].replace("_", " "),
            "Customer": customer,
            "Payment": it["payment"],
            "Refund": it["id"],
        },
        link=page_link(whose.account, whose.livemode, "payments", it["payment"]) if it["payment"] else None,
        money=money,
        customer=customer,
        code=it["failure"] or it["reason"],
        rule=RULE_OF_FAILED if failed else None,
    )


KIND = Kind("refund", show)


def _title(state: str, is_anew: bool) -> str:  # noqa: FBT001  # one of two words
    if state == FAILED:
        return "Refund failed, made anew" if is_anew else "Refund failed"
    return "Refund canceled" if state == CANCELED else "Refund"


def _what_to_do(failure: str | None) -> str:
    return WHAT_TO_DO.get(failure or "", PAY_BACK)
