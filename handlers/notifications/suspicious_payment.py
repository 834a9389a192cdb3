"""Payments that somebody suspects: early fraud warnings of banks, and reviews. One case for each payment.

A payment that is disputed already must not be refunded as well, or the money is gone twice. So a case knows of the
disputes and the refund of its payment, also of those that were heard of before anybody suspected it.
"""

from collections.abc import Mapping
from typing import Any

from handlers.context import Context
from handlers.notifications import cases
from handlers.notifications.dashboard import page_link
from handlers.notifications.face import Face, Kind, Whose
from handlers.notifications.keys import stripe_key
from handlers.notifications.parts import Line, Part, Parts
from handlers.notifications.reasons import FRAUD_TYPES, REVIEWS, in_words, with_code
from handlers.payments.lifecycle import DISPUTE
from handlers.payments.money import Money
from handlers.payments.objects import Charge, Dispute, EarlyFraudWarning, Review
from handlers.payments.payer import paid_by
from handlers.reading import Snapshot, read_snapshot
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["radar.early_fraud_warning.*"], queue="notifications")
def early_fraud_warning(event: Event, ctx: Context) -> None:
    """Tell of a bank's warning while a refund still prevents a dispute."""
    snapshot = read_snapshot(event, EarlyFraudWarning)
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
    snapshot = read_snapshot(event, Review)
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


@handler(source="stripe", types=["charge.refunded"], queue="notifications")
def refunded_in_full(event: Event, ctx: Context) -> None:
    """Settle the case of a payment that went back as a whole; what is left of one could still be disputed."""
    snapshot = read_snapshot(event, Charge)
    charge = snapshot.data.object
    if charge.amount_refunded < (charge.amount_captured or charge.amount):
        return
    facts = {"amount": charge.amount_refunded, "currency": charge.currency}
    part = Part(name="refund", standing=1, created=snapshot.created, rank=0, facts=facts)
    lines = [Line("refunded", "Refunded in full.")]
    _enter(event, ctx, part, lines, payment=charge.payment_intent or charge.id)


def disputed(event: Event, ctx: Context, snapshot: Snapshot[Dispute]) -> None:
    """Say that a payment is disputed, where it is suspected, or will be."""
    it = snapshot.data.object
    payment = it.payment_intent or it.charge
    if payment is None:
        return
    part = Part(
        name=f"dispute/{it.id}",
        standing=int(DISPUTE.standing(it.status)),
        created=snapshot.created,
        rank=DISPUTE.rank(it.status),
        facts={"id": it.id, "status": it.status, "amount": it.amount, "currency": it.currency},
    )
    _enter(event, ctx, part, _lines(it), payment=payment)


def _lines(it: Dispute) -> list[Line]:
    if it.status in NO_DISPUTE:
        return []
    if it.status.startswith(INQUIRY):
        return [Line(f"asked/{it.id}", f"The bank asks about it ({it.id}): answer that.")]
    return [Line(f"disputed/{it.id}", f"Disputed ({it.id}): do not refund it, answer the dispute.")]


INQUIRY = "warning_"
NO_DISPUTE = frozenset({"warning_closed", "prevented"})


def _enter(event: Event, ctx: Context, part: Part, lines: list[Line], *, payment: str) -> None:
    key = stripe_key(event, KIND.name, payment)
    facts = {"id": payment, **paid_by(ctx.db, event, payment)}
    # What the book knows is more than nothing, whichever event came first.
    known = Part(name="payment", standing=0, created=0, rank=int("amount" in facts), facts=facts)
    cases.enter(event, ctx, KIND, key=key, parts=[part, known], lines=lines)


def show(parts: Parts, whose: Whose) -> Face | None:
    """Say how a suspicious payment looks; there is nothing to tell of one that nobody suspects."""
    warning, review, payment = parts.get("warning"), parts.get("review"), parts["payment"]
    if warning is None and review is None:
        return None
    dispute = _dispute(parts)
    warned = warning is not None and bool(warning["actionable"])
    reviewed = review is not None and bool(review["open"])
    over = _over(parts, dispute)
    is_open = over is None and (warned or reviewed)
    word, status = over or ("" if is_open else " settled", _status(warned=warned, reviewed=reviewed))
    money = _money(payment, parts.get("refund"))
    page = ("disputes", str(dispute["id"])) if dispute else ("payments", str(payment["id"]))
    return Face(
        title=f"Suspicious payment{word}{f': {money.display()}' if money else ''}",
        status=status,
        is_open=is_open,
        gravity=int(warned),
        opened_at=min(int(part["opened_at"]) for part in (warning, review) if part is not None),
        facts={
            "The bank warns": with_code(warning["fraud_type"], FRAUD_TYPES) if warning else None,
            "Review": _review(review) if review else None,
            "Customer": payment.get("customer"),
            "Payment": payment["id"],
            "Dispute": dispute["id"] if dispute else None,
        },
        link=page_link(whose.account, whose.livemode, *page),
        money=money,
        customer=payment.get("customer"),
        code=warning["fraud_type"] if warning else None,
    )


KIND = Kind("suspicious_payment", show)


def _dispute(parts: Parts) -> Mapping[str, Any] | None:
    """Give the dispute that counts: a real one before an inquiry, then the first by its id."""
    known = [part for name, part in parts.items() if name.startswith("dispute/")]
    real = [part for part in known if part["status"] not in NO_DISPUTE]
    return min(real, key=lambda part: (part["status"].startswith(INQUIRY), part["id"]), default=None)


def _over(parts: Parts, dispute: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Say what took the case out of our hands: a word for the title, and what it means."""
    if dispute is not None and dispute["status"].startswith(INQUIRY):
        return " asked about", "the bank asks already: do not refund it here, answer the inquiry"
    if dispute is not None:
        done = dispute["status"] in ("won", "lost")
        return " disputed", f"disputed: do not refund, {'see' if done else 'answer'} the dispute"
    return (" refunded", "refunded: nothing more to do") if "refund" in parts else None


def _money(payment: Mapping[str, Any], refund: Mapping[str, Any] | None) -> Money | None:
    known = payment if "amount" in payment else refund
    return Money(known["amount"], known["currency"]) if known else None


def _status(*, warned: bool, reviewed: bool) -> str:
    if warned:
        return "refund it now if it is fraud: that prevents a dispute and its fee"
    return "approve or refund it" if reviewed else "nothing more to do"


def _review(review: Any) -> str:  # noqa: ANN401  # JSON
    code = review["reason"] if review["open"] else review["closed_reason"]
    return f"{'open' if review['open'] else 'closed'}: {in_words(code, REVIEWS)}"
