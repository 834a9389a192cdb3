"""What Hookline says of itself is an event as well, and none that anybody sent."""

import pytest

from ledger import own
from ledger.store import Ledger
from ledger.views import Filter, list_events
from tests.ledger.making import new_event, store


def say(ledger: Ledger, key: str) -> own.Own:
    with ledger.write() as db:
        return own.enter(db, key=key, type_="hookline.test", facts={}, handler="h", queue="notifications", now=1.0)


def listed(ledger: Ledger, wanted: Filter) -> list[str]:
    with ledger.read() as db:
        return [each["external_id"] for each in list_events(db, wanted)]


def test_it_is_said_once_under_its_key(ledger: Ledger) -> None:
    first, again = say(ledger, "digest/today"), say(ledger, "digest/today")
    assert (first.is_new, again.is_new) == (True, False)
    assert (first.event.id, first.delivery_id) == (again.event.id, again.delivery_id)


@pytest.mark.parametrize(
    "wanted", [Filter(source=own.SOURCE), Filter(type="hookline.*"), Filter(state="done"), Filter(handler="h")]
)
def test_it_is_listed_for_who_asks_for_it_and_not_among_what_was_sent(ledger: Ledger, wanted: Filter) -> None:
    store(ledger, new_event(external_id="evt_1", handlers=()))
    say(ledger, "digest/today")
    assert listed(ledger, Filter()) == ["evt_1"]
    assert listed(ledger, wanted) == ["digest/today"]
