"""The book says what an event changed, so that nobody is told of what came late or again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from handlers.payments import book
from handlers.payments.change import Change, Verdict
from handlers.payments.tables import disputes
from handlers.router import Router
from ledger.store import Transaction
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, open_desk, sample

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


STATUSES = ["needs_response", "under_review", "won", "lost"]


@DESK_ON_SQLITE
@given(
    told=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), st.sampled_from(STATUSES)), min_size=1, max_size=8)
)
def test_changes_join_up_into_the_book_whatever_comes_in_which_order(
    engine: Engine, router: Router, told: list[tuple[int, int, str]]
) -> None:
    with open_desk(engine, router) as desk:
        changes = [entered(desk, dispute(*each)) for each in told]
        [row] = desk.rows(disputes)
    assert [change.before for change in changes] == [None, *[change.after for change in changes[:-1]]]
    assert {name: row[name] for name in changes[-1].after} == changes[-1].after
    news = [change for change in changes if change.verdict in (Verdict.NEW, Verdict.NEWER)]
    assert all(change in news or not change.changed() for change in changes)
