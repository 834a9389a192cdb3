"""Payments that somebody suspects: early fraud warnings of banks, and reviews. One case for each payment."""

from typing import Any

from sqlalchemy import bindparam, select

from handlers.context import Context
from handlers.notifications import cases
from handlers.notifications.cases import Face, Kind, Line, Part, Parts, Whose
from handlers.notifications.dashboard import page_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import FRAUD_TYPES, REVIEWS, in_words, with_code
from handlers.payments.money import Money
from handlers.payments.objects import EarlyFraudWarning, Review
from handlers.payments.tables import payments
from handlers.reading import Snapshot, read
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["radar.early_fraud_warning.*"], queue="notifications")
def early_fraud_warning(event: Event, ctx: Context) -> None:
    """Tell of a bank's warning while a refund still prevents a dispute."""
    snapshot = read(event, Snapshot[EarlyFraudWarning])
    warning = snapshot.data.object
    facts = {
        "id": warning.id,
        "actionable": warning.actionable,
        "fraud_type": warning.fraud_type,
        "opened_at": warning.created or snapshot.created,
    }
    done = not warning.actionable
    part = Part(name="warning", standing=int(done), created=snapshot.created, rank=int(done), facts=facts)
    lines = [Line("not_actionable", "Nothing more to do: it was refunded or disputed.")] if done else []
    _enter(event, ctx, part, lines, payment=warning.payment_intent or warning.charge or warning.id)


@handler(source="stripe", types=["review.opened", "review.closed"], queue="notifications")
def review(event: Event, ctx: Context) -> None:
    """Tell of a payment that a person should look at."""
    snapshot = read(event, Snapshot[Review])
    it = snapshot.data.object
    facts = {
        "id": it.id,
        "open": it.open,
        "reason": it.opened_reason or it.reason,
        "closed_reason": it.closed_reason,
        "opened_at": it.created or snapshot.created,
    }
    part = Part(name="review", standing=int(not it.open), created=snapshot.created, rank=int(not it.open), facts=facts)
    lines = [] if it.open else [Line("review_closed", f"Review closed: {in_words(it.closed_reason, REVIEWS)}.")]
    _enter(event, ctx, part, lines, payment=it.payment_intent or it.charge or it.id)


def _enter(event: Event, ctx: Context, part: Part, lines: list[Line], *, payment: str) -> None:
    key = stripe_key(event, KIND.name, payment)
    facts = {"id": payment, **_from_book(event, ctx, payment)}
    # What the book knows is more than nothing, whichever event came first.
    known = Part(name="payment", standing=0, created=0, rank=int("amount" in facts), facts=facts)
    cases.enter(event, ctx, KIND, key=key, parts=[part, known], lines=lines)


def _from_book(event: Event, ctx: Context, payment: str) -> dict[str, Any]:
    """Look up how much it is about: neither a warning nor a review says."""
    which = {"its_account": event.account or "", "its_mode": event.livemode, "its_id": payment}
    row = ctx.db.execute(_PAYMENT, which).mappings().first()
    return dict(row) if row else {}


_PAYMENT = select(payments.c.amount, payments.c.currency, payments.c.customer).where(
    payments.c.account == bindparam("its_account"),
    payments.c.livemode == bindparam("its_mode"),
    payments.c.id == bindparam("its_id"),
)


def show(parts: Parts, whose: Whose) -> Face:
    """Say how a suspicious payment looks."""
    warning, review, payment = parts.get("warning"), parts.get("review"), parts["payment"]
    money = Money(payment["amount"], payment["currency"]) if "amount" in payment else None
    warned = warning is not None and bool(warning["actionable"])
    reviewed = review is not None and bool(review["open"])
    amount = f": {money.display()}" if money else ""
    return Face(
        title=f"Suspicious payment{'' if warned or reviewed else ' settled'}{amount}",
        status=_status(warned=warned, reviewed=reviewed),
        is_open=warned or reviewed,
        opened_at=min(int(part["opened_at"]) for part in (warning, review) if part is not None),
        facts={
            "The bank warns": with_code(warning["fraud_type"], FRAUD_TYPES) if warning else None,
            "Review": _review(review) if review else None,
            "Customer": payment.get("customer"),
            "Payment": payment["id"],
        },
        link=page_link(whose.account, whose.livemode, "payments", payment["id"]),
        money=money,
        customer=payment.get("customer"),
        code=warning["fraud_type"] if warning else None,
    )


KIND = Kind("suspicious_payment", show)


def _status(*, warned: bool, reviewed: bool) -> str:
    if warned:
        return "refund it now if it is fraud: that prevents a dispute and its fee"
    return "approve or refund it" if reviewed else "nothing more to do"


def _review(review: Any) -> str:  # noqa: ANN401  # JSON
    code = review["reason"] if review["open"] else review["closed_reason"]
    return f"{'open' if review['open'] else 'closed'}: {in_words(code, REVIEWS)}"
