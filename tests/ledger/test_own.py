"""What Hookline says of itself is an event as well, and none that anybody sent."""

import pytest

from ledger import own
from ledger.store import Ledger
from ledger.views import Filter, list_events
from ledger.views.sources import list_sources
from ledger.views.stats import take_stats
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


def test_it_is_no_source_and_counts_as_nothing_that_came_in(ledger: Ledger) -> None:
    store(ledger, new_event(received_at=1.0, handlers=()))
    say(ledger, "digest/today")
    with ledger.read() as db:
        assert [each["source"] for each in list_sources(db, {}, now=2.0)] == ["stripe"]
        assert take_stats(db, Filter(), since=0.5, until=2.0).events == 1
        assert take_stats(db, Filter(source=own.SOURCE), since=0.5, until=2.0).events == 1
