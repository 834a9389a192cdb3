"""What is read ahead and written together: nobody can tell it from what was read and written one by one."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cli.sample import SAMPLED_AT
from handlers.context import Context
from handlers.payments import book
from handlers.payments.tables import history, payments
from handlers.router import Router
from ledger.gathered import Gathered
from ledger.store import Transaction
from tests.engines import DESK_ON_BOTH
from tests.handlers.desk import CHANNELS, open_desk

DECLINED = {"code": "card_declined", "decline_code": "insufficient_funds"}
INTENTS: dict[str, dict[str, Any]] = {
    "payment_intent.created": {"status": "requires_payment_method"},
    "payment_intent.payment_failed": {"status": "requires_payment_method", "last_payment_error": DECLINED},
    "payment_intent.succeeded": {"status": "succeeded", "amount_received": 4900},
}
REFUNDED = {"payment_intent": "pi_1", "status": "succeeded", "amount_refunded": 1000, "id": "ch_1"}
OBJECTS: dict[str, dict[str, Any]] = {**INTENTS, "charge.refunded": REFUNDED}

EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(sorted(OBJECTS)),
        "id": st.sampled_from(["pi_1", "pi_2", "pi_3"]),
        "livemode": st.booleans(),
        "account": st.sampled_from([None, None, "acct_1"]),
        "at": st.integers(0, 2),
        "invoice": st.sampled_from([None, None, None, "in_1"]),
    }
)


def payload(number: int, its: dict[str, Any]) -> dict[str, Any]:
    base = {"id": its["id"], "amount": 4900, "currency": "usd", "invoice": its["invoice"]}
    whole = {"id": f"evt_{number}", "type": its["type"], "created": SAMPLED_AT + its["at"]}
    about = {"livemode": its["livemode"], "account": its["account"]}
    return {**whole, **about, "data": {"object": {**base, **OBJECTS[its["type"]]}}}


def ended(engine: Engine, router: Router, told: Sequence[dict[str, Any]], *, before: int, ahead: bool) -> list[Any]:
    """Handle the first so many one by one, and then the others. Say what is there in the end."""
    with open_desk(engine, router) as desk:
        for each in told[:before]:
            desk.deliver(each)
        events = [desk.store(each) for each in told[before:]]
        gathered = Gathered() if ahead else None
        db = Transaction(desk.db, gathered)
        if ahead:
            book.find_payments([each for each in events if each.type in INTENTS], db)
        for event in events:
            for handler in router.matching(event.source, event.type):
                handler.run(event, Context(db=db, channels=CHANNELS, delivery_id=event.id, now=SAMPLED_AT))
        if gathered is not None:
            gathered.write(desk.db)
        return [desk.rows(payments), desk.rows(history), sorted(desk.posts(), key=lambda post: post.key)]


@DESK_ON_BOTH
@settings(max_examples=30)
@given(its=st.lists(EVENTS, max_size=10), before=st.integers(0, 3))
def test_a_book_that_was_read_ahead_is_the_one_that_would_be_kept_one_by_one(
    engine: Engine, router: Router, its: list[dict[str, Any]], before: int
) -> None:
    told = [payload(number, each) for number, each in enumerate(its)]
    plainly, together = (ended(engine, router, told, before=before, ahead=ahead) for ahead in (False, True))
    assert together == plainly
