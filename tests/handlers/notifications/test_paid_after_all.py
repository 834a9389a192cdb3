"""A payment that failed and was paid later is not told, or not left standing, as a failure."""

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger.tables import effects
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, sample

CREATED = sample("payment_intent.created", id="evt_0")
FAILED = sample("payment_intent.payment_failed", id="evt_1")
PAID = sample("payment_intent.succeeded", id="evt_2", created=FAILED["created"] + 60)


def states(desk: Desk) -> list[str]:
    return list(desk.db.execute(select(effects.c.state)).scalars())


def posted(desk: Desk, **values: Any) -> None:  # what a sender does
    desk.db.execute(update(effects).values(state="sent", attempts=1, channel_id="C1", ts="1.0", **values))


def test_a_failure_that_was_told_says_that_it_was_paid_after_all(desk: Desk) -> None:
    desk.deliver(FAILED)
    posted(desk)
    desk.deliver(PAID)
    (post,) = desk.posts()
    assert post.header.startswith("TEST: Payment failed, paid after all: $49.00")
    assert post.text.startswith("TEST: Payment failed, paid after all: $49.00")
    assert states(desk) == ["planned"]  # to be changed where it is


@DESK_ON_SQLITE
@pytest.mark.parametrize("arrivals", [*permutations([CREATED, FAILED, PAID])])
def test_a_failure_that_waits_while_it_is_paid_is_told_once_and_as_paid(
    desk: Desk, arrivals: list[dict[str, Any]]
) -> None:
    for each in [*arrivals, FAILED]:
        desk.deliver(each)
    (post,) = desk.posts()
    assert post.header.startswith("TEST: Payment failed, paid after all: $49.00")
    assert states(desk) == ["planned"]


def test_a_failure_that_was_told_as_one_of_many_is_not_told_again(desk: Desk) -> None:
    desk.deliver(FAILED)
    posted(desk, folded_into=1)
    desk.deliver(PAID)
    assert states(desk) == ["sent"]


def test_a_failure_of_another_payment_stays_one(desk: Desk) -> None:
    desk.deliver(FAILED)
    desk.deliver(sample("payment_intent.succeeded", id="evt_2", data__object__id="pi_another"))
    assert states(desk) == ["planned"]
