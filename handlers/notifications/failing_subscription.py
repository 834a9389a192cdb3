"""Invoices that cannot be collected, mostly of subscriptions: one case each, over when it is paid or given up.

An invoice that is overdue is such a case too, and one that Stripe could not finalize, until it is final after all.

Why it cannot, no event of an invoice says. The book does, of the invoice's payment, whose events may come before or
after the invoice's: whichever comes second explains the case.
"""

from collections.abc import Collection, Mapping

from handlers.context import Context
from handlers.notifications import cases
from handlers.notifications.dashboard import page_link
from handlers.notifications.face import Face, Kind, Whose
from handlers.notifications.keys import stripe_key
from handlers.notifications.parts import Line, Part, Parts
from handlers.notifications.reasons import DECLINES, in_words, with_code
from handlers.notifications.times import on_day, with_weekday
from handlers.payments.change import Change
from handlers.payments.declines import CHARGE_FAILED, TRY_FAILED, Decline, Owner, declines_of, invoices_of
from handlers.payments.money import Money
from handlers.payments.objects import Invoice, Subscription
from handlers.reading import read_snapshot
from handlers.router import handler
from ledger.event import Event

TROUBLE = ("invoice.payment_failed", "invoice.payment_action_required")
OVERDUE, NOT_FINAL = "invoice.overdue", "invoice.finalization_failed"
END = ("invoice.paid", "invoice.voided", "invoice.marked_uncollectible", "invoice.deleted")

DRAFT, DELETED = "draft", "deleted"
ENDED = {
    "paid": "paid",
    "void": "voided, nothing is owed",
    "uncollectible": "given up as uncollectible",
    DELETED: "the draft is deleted, nothing is owed",
}

GIVEN_UP = frozenset({"canceled", "incomplete_expired"})
FAILING = GIVEN_UP | {"past_due", "unpaid"}
ORDER = ("past_due", "unpaid", "active")
# As they follow each other within one second.

CONFIRM = "authentication_required"

USELESS_CARD = frozenset(
    {
        "card_not_supported",
        "expired_card",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "lost_card",
        "pickup_card",
        "stolen_card",
    }
)
# With such a card the next try fails as well.

SAID_BY_CHARGE, SAID_BY_PAYMENT = range(2)
# How well each of them knows: a charge's code is often only that it was declined.


@handler(source="stripe", types=[*TROUBLE, OVERDUE, NOT_FINAL, "invoice.finalized", *END], queue="notifications")
def failing_invoice(event: Event, ctx: Context) -> None:
    """Keep one message for each invoice that cannot be collected."""
    snapshot = read_snapshot(event, Invoice)
    invoice = snapshot.data.object
    status = _status(event, invoice)
    parts = [_part("invoice", snapshot.created, _facts(invoice, status), ended=status in ENDED, rank=_rank(invoice))]
    if event.type in TROUBLE:
        asks = event.type.endswith("action_required")
        facts = {"asks": asks, "tries": invoice.attempt_count, "next": invoice.next_payment_attempt}
        parts.append(_part("trouble", snapshot.created, facts, rank=_rank(invoice)))
    if event.type in (OVERDUE, NOT_FINAL):
        name = "overdue" if event.type == OVERDUE else "not_final"
        parts.append(_part(name, snapshot.created, {"due": invoice.due_date}))
    key = stripe_key(event, KIND.name, invoice.id)
    cases.enter(event, ctx, KIND, key=key, parts=parts, lines=_lines(event, invoice, status))


@handler(
    source="stripe", types=["customer.subscription.updated", "customer.subscription.deleted"], queue="notifications"
)
def failing_subscription(event: Event, ctx: Context) -> None:
    """Say in the same message what became of the subscription."""
    snapshot = read_snapshot(event, Subscription)
    subscription = snapshot.data.object
    if subscription.latest_invoice is None:
        return
    facts = {"status": subscription.status}
    over = subscription.status in GIVEN_UP
    part = _part("subscription", snapshot.created, facts, ended=over, rank=_rank_of(subscription.status))
    told = Line(f"subscription_{subscription.status}", f"Subscription {_in_words(subscription.status)}.")
    lines = [told] if subscription.status in FAILING else []
    key = stripe_key(event, KIND.name, subscription.latest_invoice)
    cases.enter(event, ctx, KIND, key=key, parts=[part], lines=lines)


def explain(event: Event, ctx: Context, change: Change) -> None:
    """Say why an invoice cannot be collected, where what came into the book tells it, or ties its payment to it."""
    kind, after = change.after.get("kind"), change.after
    if event.type in (TRY_FAILED, CHARGE_FAILED):
        tries = _known(change.id, after.get("payment_intent"), after.get("latest_charge"))
        _explain(event, ctx, tries, invoices=_known(after.get("invoice")))
    elif kind in ("invoice", "invoice_payment") and change.changed("payment_intent", "charge"):
        invoice = change.id if kind == "invoice" else after["invoice"]
        _explain(event, ctx, _known(after["payment_intent"], after["charge"]), invoices=_known(invoice))


def _known(*names: str | None) -> set[str]:
    return {name for name in names if name is not None}


def _explain(event: Event, ctx: Context, tries: Collection[str], *, invoices: Collection[str]) -> None:
    whose: Owner = {"account": event.account or "", "livemode": bool(event.livemode)}
    invoices = invoices or invoices_of(ctx.db, whose, tries)
    declines = declines_of(ctx.db, whose, tries) if invoices else []
    if not declines:
        return
    parts = [_reason(each) for each in declines]
    lines = [_declined(each) for each in declines if each.type == TRY_FAILED]
    for invoice in sorted(invoices):
        cases.enter(event, ctx, KIND, key=stripe_key(event, KIND.name, invoice), parts=parts, lines=lines)


def _reason(said: Decline) -> Part:
    standing = SAID_BY_CHARGE if said.type == CHARGE_FAILED else SAID_BY_PAYMENT
    facts = {"code": said.code}
    said_by = (said.event, said.type)
    return Part(name="reason", standing=standing, created=said.at, rank=0, facts=facts, said_by=said_by)


def _declined(said: Decline) -> Line:
    words = in_words(said.code, DECLINES)
    return Line(f"declined/{said.charge or said.at}/{said.code}", f"Reason: {words}.", said.at, rank=1)


def show(parts: Parts, whose: Whose) -> Face | None:
    """Say how it looks; there is nothing to tell of an invoice that never failed."""
    if "trouble" in parts:
        return _show_failing(parts, whose)
    return _show_waiting(parts, whose) if "overdue" in parts or "not_final" in parts else None


def _show_failing(parts: Parts, whose: Whose) -> Face:
    it, trouble, status = parts["invoice"], parts["trouble"], str(parts["invoice"]["status"])
    subscription = str(parts.get("subscription", {}).get("status", ""))
    money = Money(it["amount"], it["currency"])
    ended = ENDED.get(status)
    over = subscription in GIVEN_UP
    # When nothing is owed it is past due no more, also before the event that says so is there.
    standing = "" if ended and subscription in FAILING - GIVEN_UP else subscription
    code = CONFIRM if trouble["asks"] else it.get("refused") or parts.get("reason", {}).get("code")
    why = f" ({in_words(code, DECLINES)})" if code and ended is None else ""
    return Face(
        title=f"{_what(it)} {_word(status, over=over, asks=trouble['asks'])}: {money.display()}{why}",
        status=ended or (f"subscription {_in_words(subscription)}, not paid" if over else _next(trouble, code)),
        is_open=ended is None and not over,
        gravity=int(not trouble["next"] or subscription == "unpaid"),
        opened_at=it["opened_at"],
        facts={
            "Why it failed" if ended else "Reason": with_code(code, DECLINES) if code else None if ended else NOT_TOLD,
            "Customer": it["customer"],
            "Tries": trouble["tries"] or None,
            "Next try": _when(trouble["next"], whose.now) if ended is None and not over else None,
            "Subscription": it["subscription"] and f"{it['subscription']}{_in_brackets(standing)}",
            "Invoice": it["number"] or it["id"],
        },
        link=page_link(whose.account, whose.livemode, "invoices", it["id"]),
        money=money,
        customer=it["customer"],
        code=code,
    )


def _show_waiting(parts: Parts, whose: Whose) -> Face:
    """Say how an invoice looks that nobody has tried to collect in vain."""
    it, status = parts["invoice"], str(parts["invoice"]["status"])
    money, due = Money(it["amount"], it["currency"]), parts.get("overdue", {}).get("due")
    is_draft = status == DRAFT and "overdue" not in parts
    is_open = is_draft or ("overdue" in parts and status not in ENDED)
    code = it.get("refused") if is_draft else None
    why = f" ({in_words(code, DECLINES)})" if code else ""
    word = ("cannot be finalized" if is_draft else "overdue") if is_open else _healed(status)
    return Face(
        title=f"Invoice {word}: {money.display()}{why}",
        status=(MEND if is_draft else REMIND) if is_open else ENDED.get(status, "final, and on its way"),
        is_open=is_open,
        opened_at=it["opened_at"],
        facts={
            "Reason": with_code(code, DECLINES) if code else None,
            "Customer": it["customer"],
            "Was due": on_day(due) if due else None,
            "Subscription": it["subscription"],
            "Invoice": it["number"] or it["id"],
        },
        link=page_link(whose.account, whose.livemode, "invoices", it["id"]),
        money=money,
        customer=it["customer"],
        code=code,
    )


MEND = "nothing was asked of the customer: mend in Stripe what it complains of, and finalize the invoice there"
REMIND = "the customer has not paid in time: remind them, or mark it paid in Stripe if the money came another way"


def _healed(status: str) -> str:
    return _word(status, over=False, asks=False) if status in ENDED else "finalized after all"


KIND = Kind("failing_subscription", show)


def _part(name: str, created: int, facts: Mapping[str, object], *, ended: bool = False, rank: int = 0) -> Part:
    return Part(name=name, standing=int(ended), created=created, rank=rank, facts=facts)


def _rank(invoice: Invoice) -> int:
    return -1 if invoice.status == DRAFT else invoice.attempt_count


def _status(event: Event, invoice: Invoice) -> str:
    if event.type == "invoice.deleted":
        return DELETED
    return invoice.status or ("paid" if event.type == "invoice.paid" else "open")


def _rank_of(subscription: str) -> int:
    return ORDER.index(subscription) if subscription in ORDER else -1


def _facts(invoice: Invoice, status: str) -> dict[str, object]:
    owed = invoice.amount_remaining if status not in ENDED and invoice.amount_remaining else invoice.amount_due
    return {
        "id": invoice.id,
        "amount": owed,
        "currency": invoice.currency,
        "customer": invoice.who,
        "number": invoice.number,
        "status": status,
        "subscription": invoice.its_subscription,
        "opened_at": invoice.created or 0,
        "refused": invoice.last_finalization_error and invoice.last_finalization_error.code,
    }


def _lines(event: Event, invoice: Invoice, status: str) -> list[Line]:
    money = Money(invoice.amount_due, invoice.currency).display()
    if event.type == "invoice.payment_failed":
        return [Line(f"try_{invoice.attempt_count}", f"Try {invoice.attempt_count} failed.")]
    if event.type == "invoice.payment_action_required":
        return [Line("action_required", "The customer's bank wants them to confirm the payment.")]
    if event.type == OVERDUE:
        return [Line("overdue", f"Overdue: {money}.")]
    if event.type == NOT_FINAL:
        return [Line("not_final", "Could not be finalized.")]
    words = {
        "paid": f"Healed: paid, {money}.",
        "void": "Voided.",
        "uncollectible": "Given up as uncollectible.",
        DELETED: "Draft deleted.",
    }
    return [Line(status, words[status])] if status in words else []


def _what(it: Mapping[str, object]) -> str:
    return "Subscription payment" if it["subscription"] else "Invoice"


def _word(status: str, *, over: bool, asks: bool) -> str:
    if status in ENDED:
        return {"paid": "paid after all", "void": "voided", "uncollectible": "given up", DELETED: DELETED}[status]
    if over:
        return "lost"
    return "needs the customer" if asks else "failing"


def _when(next_try: int | None, now: float) -> str | None:
    if next_try is None:
        return None
    return with_weekday(next_try) if next_try >= now else f"was due {on_day(next_try)}"


NOT_TOLD = "Stripe has not told us: the invoice's payment in Stripe says why"


def _next(trouble: Mapping[str, object], code: str | None) -> str:
    """Say what happens next, and what to do."""
    if trouble["asks"]:
        return "the customer must confirm it with their bank: send them the invoice's link"
    if not trouble["next"]:
        return "Stripe does not try again: ask the customer to pay in another way"
    if code in USELESS_CARD:
        return "Stripe tries again, which will hardly help: ask the customer for another card"
    return "Stripe tries again"


def _in_words(status: str) -> str:
    return {"past_due": "past due", "incomplete_expired": "never began"}.get(status, status)


def _in_brackets(subscription: str) -> str:
    return f" ({_in_words(subscription)})" if subscription else ""
