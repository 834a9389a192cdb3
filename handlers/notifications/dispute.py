"""Disputes: one case each, from the first word of the customer's bank to the last."""

from collections.abc import Mapping
from typing import Any

from handlers.context import Context
from handlers.notifications import cases, suspicious_payment
from handlers.notifications.dashboard import page_link
from handlers.notifications.face import Face, Kind, Whose
from handlers.notifications.keys import stripe_key
from handlers.notifications.parts import Line, Part, Parts, known_part
from handlers.notifications.reasons import DISPUTES, in_words, with_code
from handlers.notifications.times import on_day, with_weekday
from handlers.payments.lifecycle import DISPUTE
from handlers.payments.money import Money
from handlers.payments.objects import Dispute, Move
from handlers.payments.payer import paid_by
from handlers.reading import read_snapshot
from handlers.router import handler
from ledger.event import Event

STATES = {
    "warning_needs_response": ("opened", "the bank asks, answer it"),
    "warning_under_review": ("under review", "answered, the bank decides"),
    "warning_closed": ("closed", "no dispute came of it"),
    "needs_response": ("opened", "send evidence"),
    "under_review": ("under review", "evidence submitted, the bank decides"),
    "won": ("won", "the money is ours again"),
    "lost": ("lost", "the money stays with the customer"),
    "prevented": ("prevented", "settled before it became a dispute"),
    "appeal_needs_response": ("appealed", "send evidence"),
    "appeal_under_review": ("appealed", "evidence submitted, the network decides"),
}
# By Stripe's state: the title's word, and what it means for whoever reads it.

NEEDS_US = frozenset({"warning_needs_response", "needs_response", "appeal_needs_response"})
OVER = frozenset({"warning_closed", "won", "lost", "prevented"})


@handler(source="stripe", types=["charge.dispute.*"], queue="notifications")
def dispute(event: Event, ctx: Context) -> None:
    """Keep one message for each dispute."""
    snapshot = read_snapshot(event, Dispute)
    opened = snapshot.data.object
    part = Part(
        name="dispute",
        standing=int(DISPUTE.standing(opened.status)),
        created=snapshot.created,
        rank=DISPUTE.rank(opened.status),
        facts={
            "id": opened.id,
            "amount": opened.amount,
            "currency": opened.currency,
            "status": opened.status,
            "reason": opened.reason,
            "due_by": opened.due_by,
            "past_due": opened.past_due,
            "payment": opened.payment_intent or opened.charge,
            "customer": opened.customer,
            "opened_at": opened.created or snapshot.created,
        },
    )
    key = stripe_key(event, "dispute", opened.id)
    # What has moved stays moved: the event that knows of most knows best.
    moves = len(opened.balance_transactions)
    facts = {"told": _balance(opened)}
    money = Part(name="money", standing=moves, created=snapshot.created, rank=part.rank, facts=facts)
    payer = known_part("payer", paid_by(ctx.db, event, opened.payment_intent or opened.charge))
    cases.enter(event, ctx, KIND, key=key, parts=[part, money, *payer], lines=_lines(event, opened, snapshot.created))
    suspicious_payment.disputed(event, ctx, snapshot)


def show(parts: Parts, whose: Whose) -> Face:
    """Say how a dispute looks."""
    it = parts["dispute"]
    status, money = str(it["status"]), Money(it["amount"], it["currency"])
    word, meaning = STATES.get(status, (status.replace("_", " "), status.replace("_", " ")))
    # An inquiry takes no money yet, and is often settled by an answer alone.
    kind = "Inquiry" if status.startswith("warning_") else "Dispute"
    needs_us = status in NEEDS_US
    customer = it["customer"] or parts.get("payer", {}).get("customer")
    late = _too_late(it, whose.now) if needs_us else None
    return Face(
        title=f"{kind} {word}: {money.display()} ({in_words(it['reason'], DISPUTES)})",
        status=late or meaning,
        is_open=status not in OVER,
        gravity=0 if not needs_us else 1 if kind == "Inquiry" else 2,
        opened_at=it["opened_at"],
        facts={
            "Send evidence by": _deadline(it["due_by"]) if needs_us and late is None else None,
            "Our Stripe balance": parts.get("money", {}).get("told") if kind == "Dispute" else None,
            "Customer": customer,
            "Reason": with_code(it["reason"], DISPUTES),
            "Payment": it["payment"],
            "Dispute": it["id"],
        },
        link=page_link(whose.account, whose.livemode, "disputes", it["id"]),
        money=money,
        customer=customer,
        code=it["reason"],
        due_by=it["due_by"] if needs_us else None,
    )


KIND = Kind("dispute", show)


def _too_late(it: Mapping[str, Any], now: float) -> str | None:
    due_by = it["due_by"]
    if not it.get("past_due") and (due_by is None or due_by >= now):
        return None
    return f"the deadline has passed{'' if due_by is None else f': {on_day(due_by)}'}"


def _deadline(due_by: int | None) -> str:
    return "no deadline given" if due_by is None else with_weekday(due_by)


def _lines(event: Event, it: Dispute, created: int) -> list[Line]:
    amount = it.money.display()
    by_state = {
        "warning_under_review": "Answered. The bank decides now.",
        "warning_closed": "Inquiry closed: no dispute came of it.",
        "under_review": "Evidence submitted. The bank decides now.",
        "won": "Won: the money is ours.",
        "lost": f"Lost: {amount} stay with the customer.",
        "prevented": "Prevented: settled before it became a dispute.",
        "appeal_needs_response": "Appealed: there is something to answer again.",
        "appeal_under_review": "Appealed: evidence submitted. The network decides now.",
    }
    by_type = {
        "charge.dispute.funds_withdrawn": f"{_taken(it, 'taken from our Stripe balance')}.",
        "charge.dispute.funds_reinstated": f"{_back(it, 'given back to our Stripe balance')}.",
    }
    rank = 2 * DISPUTE.rank(it.status)
    lines = [Line(it.status, by_state[it.status], created, rank)] if it.status in by_state else []
    if event.type in by_type:  # the money follows the word of the same second
        lines.append(Line(event.type.rpartition(".")[2], by_type[event.type], created, rank + 1))
    return lines


def _taken(it: Dispute, words: str) -> str:
    """Say what went, and what of it is a fee where Stripe says so."""
    move = it.moved(-1)
    if move is None:
        return f"{it.money.display()} {words}"
    return f"{_money(move, -move.net)} {words}{_fee(move, 'a')}"


def _back(it: Dispute, words: str) -> str:
    """Say what came back, with the fee or without."""
    move, taken = it.moved(1), it.moved(-1)
    if move is None:
        return f"{it.money.display()} {words}"
    if move.fee or taken is None or taken.fee <= 0:
        return f"{_money(move, move.net)} {words}{_fee(move, 'the')}"
    return f"{_money(move, move.net)} {words} (not the {_money(taken, taken.fee)} fee)"


def _fee(move: Move, article: str) -> str:
    fee = abs(move.fee)
    return f" ({_money(move, abs(move.gross))} and {article} {_money(move, fee)} fee)" if fee else ""


def _money(move: Move, amount: int) -> str:
    return Money(amount, move.currency or "").display()


def _balance(it: Dispute) -> str | None:
    """Say what became of our Stripe balance, as far as Stripe says."""
    moves = [(it.moved(-1), _taken(it, "taken")), (it.moved(1), _back(it, "back"))]
    return ", ".join(told for move, told in moves if move is not None) or None
