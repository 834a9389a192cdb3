"""The way to look at the ledger without SQLAlchemy shows what the other one shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text

from config.door import find_door
from ledger import views
from ledger.errors import LedgerUnavailable
from ledger.looking import Looking
from ledger.question import Asked
from ledger.store import Ledger
from ledger.views import Filter
from ledger.views.sources import list_sources
from ledger.views.stats import stats_view, take_stats
from tests.cli.stock import AT, fill
from tests.engines import ON_BOTH, ON_POSTGRESQL
from tests.ledger.making import new_event, settings_for, store


@pytest.fixture
def looking(ledger_url: URL) -> Iterator[Looking]:
    """The short way to the same ledger."""
    door = find_door(settings_for(ledger_url))
    assert door is not None
    look = Looking(door)
    yield look
    look.close()


def everything(db: Asked) -> list[Any]:
    """Look at all that there is, in every way."""
    ids = views.event_ids_after(db, 0, limit=100)
    return [
        views.list_events(db, Filter()),
        views.list_events(db, Filter(state="dead", type="charge.*", since=1.0)),
        views.list_events_among(db, ids[1:], Filter(source="stripe")),
        views.list_deliveries(db, Filter(limit=3)),
        views.list_requests(db, Filter()),
        views.find_events(db, [str(ids[0]), "evt_3Dead", "evt_3D", "nobody"]),
        [views.find_events(db, names) for names in ([str(ids[0])], ["evt_3Dead"], [])],
        views.list_events_among(db, [], Filter()),
        [(views.get_event(db, each), views.get_body(db, each)) for each in ids],
        views.missing_deliveries(db, [1, 99]),
        views.count_deliveries(db),
        list_sources(db, {"slack": True}, now=AT),
        stats_view(take_stats(db, Filter(), since=AT - 86_400, until=AT + 86_400)),
    ]


@ON_BOTH
def test_both_ways_show_the_same(ledger: Ledger, looking: Looking) -> None:
    fill(ledger)
    with ledger.read() as one, looking.read() as other:
        assert json.dumps(everything(one), default=repr) == json.dumps(everything(other), default=repr)


@ON_BOTH
def test_a_look_sees_one_state_of_the_ledger_and_the_next_look_sees_what_came(ledger: Ledger, looking: Looking) -> None:
    store(ledger, new_event())
    with looking.read() as db:
        assert views.event_ids_after(db, 0, limit=9) == [1]
        store(ledger, new_event())
        assert views.event_ids_after(db, 0, limit=9) == [1]
    with looking.read() as db:
        assert views.event_ids_after(db, 0, limit=9) == [1, 2]


@ON_BOTH
def test_a_database_without_tables_is_no_ledger(new_url: URL) -> None:
    door = find_door(settings_for(new_url))
    assert door is not None
    look = Looking(door)
    with pytest.raises(LedgerUnavailable, match="events"), look.read() as db:
        views.last_event_id(db)
    look.close()


@ON_POSTGRESQL
def test_a_connection_that_was_lost_is_made_anew_at_the_next_look_and_why_is_said(
    ledger: Ledger, looking: Looking
) -> None:
    def look(*, losing_it: bool = False) -> int:
        with looking.read() as db:
            if losing_it:
                end_all_others()
            return views.last_event_id(db)

    def end_all_others() -> None:
        with ledger.write() as db:
            db.execute(END_ALL_OTHERS)

    assert look() == 0
    end_all_others()
    assert look() == 0
    with pytest.raises(LedgerUnavailable, match="terminating"):
        look(losing_it=True)
    assert look() == 0


END_ALL_OTHERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def test_a_file_that_cannot_be_opened_is_no_ledger(tmp_path: Path) -> None:
    door = find_door(settings_for(URL.create("sqlite", database=str(tmp_path / "no" / "ledger.db"))))
    assert door is not None
    with pytest.raises(LedgerUnavailable, match="unable to open"), Looking(door).read():
        pass
