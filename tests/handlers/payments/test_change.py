"""The book says what an event changed, so that nobody is told of what came late or again."""

from typing import Any

from handlers.payments import book
from handlers.payments.change import Change, Verdict
from ledger.store import Transaction
from tests.handlers.desk import Desk, sample

AT = 1_793_361_600


def dispute(number: int, at_s: int, status: str) -> dict[str, Any]:
    changes: dict[str, Any] = {"id": f"evt_{number}", "created": AT + at_s, "data__object__status": status}
    return sample("charge.dispute.created", **changes)


def entered(desk: Desk, payload: dict[str, Any]) -> Change:
    return book.enter_dispute(Transaction(desk.db), desk.store(payload))


def test_the_first_word_of_an_object_is_new(desk: Desk) -> None:
    change = entered(desk, dispute(1, 0, "needs_response"))
    assert (change.table, change.verdict, change.before) == ("disputes", Verdict.NEW, None)
    assert change.came_to("needs_response")


def test_a_newer_word_says_what_was_before(desk: Desk) -> None:
    entered(desk, dispute(1, 0, "needs_response"))
    change = entered(desk, dispute(2, 60, "won"))
    assert change.verdict == Verdict.NEWER
    assert change.before is not None
    assert (change.before["status"], change.after["status"]) == ("needs_response", "won")
    assert change.came_to("won")
    assert not change.changed("amount", "currency", "due_by")


def test_what_comes_late_or_again_changes_nothing(desk: Desk) -> None:
    entered(desk, dispute(2, 60, "won"))
    late = entered(desk, dispute(1, 0, "needs_response"))
    again = entered(desk, dispute(2, 60, "won"))
    assert (late.verdict, again.verdict) == (Verdict.STALE, Verdict.REPEATED)
    assert not late.changed()
    assert not again.changed()
    assert late.after["status"] == "won"


def test_a_refund_that_comes_before_its_payment_still_changes_what_went_back(desk: Desk) -> None:
    first = sample("charge.refunded", id="evt_1", data__object__amount_refunded=100)
    more = sample("charge.refunded", id="evt_0", created=AT - 1, data__object__amount_refunded=300)
    db = Transaction(desk.db)
    assert book.enter_refunded_charge(db, desk.store(first)).after["amount_refunded"] == 100
    change = book.enter_refunded_charge(db, desk.store(more))
    assert change.changed("amount_refunded")  # an older event that knows of more money is news of that money
    assert (change.verdict, change.after["amount_refunded"]) == (Verdict.STALE, 300)
