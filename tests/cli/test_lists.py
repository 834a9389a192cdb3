"""What the lists find, and what `--json` says."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects import sqlite

from cli.moment import parse_moment
from ledger import views
from ledger.event import DeliveryState, EventState
from ledger.store import Ledger
from ledger.tables import events
from tests.cli.shell import Shell
from tests.cli.stock import AT, DEAD, DONE, FAILED, PENDING, UNHANDLED, UNPARSEABLE, fill
from tests.engines import ON_BOTH, ON_SQLITE
from tests.ledger.making import new_event, store

IN_STATE = {
    EventState.DONE: DONE,
    EventState.FAILED: FAILED,
    EventState.DEAD: DEAD,
    EventState.PENDING: PENDING,
    EventState.UNHANDLED: UNHANDLED,
    EventState.UNPARSEABLE: UNPARSEABLE,
}

MORE_THAN_SQLITES_PARAMETERS = 33_000


def found(ledger: Ledger, **wanted: Any) -> list[int]:
    with ledger.read() as db:
        return [view["id"] for view in views.list_events(db, views.Filter(**wanted))]


@ON_BOTH
def test_every_state_can_be_asked_for(ledger: Ledger) -> None:
    fill(ledger)
    assert {state: found(ledger, state=state) for state in EventState} == {
        state: [event_id] for state, event_id in IN_STATE.items()
    }


@ON_BOTH
def test_an_event_object_has_what_programs_rely_on(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    (listed,) = shell.objects("events", "list", "--state", "dead")
    assert listed | {"deliveries": []} == {
        "id": DEAD,
        "source": "stripe",
        "external_id": "evt_3Dead",
        "type": "charge.dispute.created",
        "state": "dead",
        "received_at": "2021-11-23T04:32:53.250Z",
        "account": None,
        "livemode": True,
        "flaw": None,
        "payload_pruned_at": None,
        "deliveries": [],
    }
    assert [(each["id"], each["handler"], each["state"], each["attempts"]) for each in listed["deliveries"]] == [
        (3, "notifications.dispute", "dead", 7),
        (4, "payments.dispute", "dead", 7),
    ]
    assert all(each["last_error"].startswith("ValueError") for each in listed["deliveries"])
    (got,) = shell.objects("events", "get", str(DEAD))
    assert got.items() >= {key: value for key, value in listed.items() if key != "deliveries"}.items()
    assert got["deliveries"][0]["history"][0]["outcome"] == "dead"


@ON_BOTH
def test_deliveries_and_requests_are_objects_too(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    words = ("deliveries", "list", "--state", "failed", "--handler", "repositories.run")
    (delivery,) = shell.objects(*words, "--source", "github", "--type", "workflow_run.*")
    assert (delivery["id"], delivery["event"], delivery["attempts"]) == (2, FAILED, 2)
    assert delivery["due_at"] == "2021-11-23T05:30:53.250Z"
    (request,) = shell.objects("requests", "list", "--source", "stripe")
    assert (request["reason"], request["status"], request["body_size"]) == ("signature_mismatch", 401, 17)


def test_filters_combine(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    words = ("--source", "stripe", "--type", "charge.*", "--state", "dead", "--limit", "5")
    time = ("--since", "2021-11-23T04:32:00Z", "--until", "2021-11-23T04:33:53")
    assert [view["id"] for view in shell.objects("events", "list", *words, *time)] == [DEAD]
    assert shell.objects("events", "list", *words, *time[:2], "--until", "2021-11-23T04:32:53Z") == []


@ON_BOTH
def test_a_star_stands_for_anything_and_nothing_else_does(ledger: Ledger) -> None:
    store(ledger, *(new_event(type=type_) for type_ in ("a.b", "a_b", "a%b", "a.b.c", "A.B")))
    assert found(ledger, type="a.*") == [4, 1]
    assert found(ledger, type="A.*") == [5]
    assert found(ledger, type="a_b") == [2]
    assert found(ledger, type="a_*") == [2]
    assert found(ledger, type="*%*") == [3]
    assert found(ledger, type="*.c") == [4]


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC).timestamp()),
        ("2026-11-01T09:30", datetime(2026, 11, 1, 9, 30, tzinfo=UTC).timestamp()),
        ("2026-11-01T09:30+02:00", datetime(2026, 11, 1, 7, 30, tzinfo=UTC).timestamp()),
        ("0001-01-01T00:00+14:00", -62135647200.0),
    ],
)
def test_a_moment_is_a_date_in_utc_unless_it_names_a_zone(typed: str, seconds: float) -> None:
    assert parse_moment(typed) == seconds


@pytest.mark.parametrize(("age", "seconds"), [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)])
def test_a_moment_is_an_age(age: str, seconds: float) -> None:
    now = datetime.now(UTC).timestamp()
    assert now - parse_moment(age) == pytest.approx(seconds, abs=5)


@ON_BOTH
def test_a_list_may_be_longer_than_a_statement_has_parameters(shell: Shell, ledger: Ledger) -> None:
    with ledger.read() as db:
        columns = [column.name for column in events.c]
    row = {name: "" for name in columns if name != "id"} | {
        "received_at": AT,
        "livemode": True,
        "body": b"{}",
        "secret_position": 0,
        "flaw": None,
        "payload_pruned_at": None,
    }
    with ledger.write() as db:
        rows = [row | {"dedupe_key": str(number)} for number in range(MORE_THAN_SQLITES_PARAMETERS)]
        db.execute(insert(events), rows)
    listed = shell.run("events", "list", "--limit", "100000", "--json")
    assert listed.stdout.count("\n") == MORE_THAN_SQLITES_PARAMETERS
    assert json.loads(listed.stdout.partition("\n")[0])["id"] == MORE_THAN_SQLITES_PARAMETERS


@ON_BOTH
def test_an_event_is_found_by_our_id_before_the_providers_and_by_the_newest_of_the_providers(ledger: Ledger) -> None:
    store(ledger, new_event(key="one", external_id="2"), new_event(key="two", external_id="2"))
    store(ledger, new_event(key="three", external_id="99"), new_event(key="four", external_id="99"))
    with ledger.read() as db:
        assert [views.find_event(db, address) for address in ("2", "99", "3", "²", "5")] == [2, 4, 3, None, None]


def test_every_delivery_state_is_a_choice(shell: Shell) -> None:
    shown = shell.run("deliveries", "list", "--help").stdout
    assert all(state in shown for state in DeliveryState)


@ON_BOTH
def test_how_an_external_id_begins_is_enough_where_only_one_begins_so(ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1Qabc"), new_event(key="evt_1Qabd"), new_event(key="evt_2%xyz"))
    with ledger.read() as db:
        assert [views.find_event(db, address) for address in ("evt_1Qabd", "evt_2", "evt_2_", "evt")] == [
            2,
            3,
            None,
            None,
        ]
        with pytest.raises(views.SeveralEvents, match="evt_1Qabc, evt_1Qabd"):
            views.find_event(db, "evt_1Q")


@ON_SQLITE
@pytest.mark.parametrize("state", [EventState.DEAD, EventState.FAILED, EventState.PENDING, EventState.UNPARSEABLE])
def test_the_states_that_need_somebody_are_found_by_an_index_and_never_by_reading_all_of_history(
    ledger: Ledger, state: EventState
) -> None:
    statement = views.newest_first(views.Filter(state=state, limit=20))
    with ledger.read() as db:
        plan = [row.detail for row in db.execute(explained(statement))]
    assert not [
        step for step in plan if step.startswith("SCAN") and "USING INDEX" not in step and "UNION" not in step
    ], plan


@ON_SQLITE
def test_what_no_handler_wants_is_looked_for_in_the_time_that_was_asked_for_only(ledger: Ledger) -> None:
    statement = views.newest_first(views.Filter(state=EventState.UNHANDLED, since=AT, limit=20))
    with ledger.read() as db:
        plan = [row.detail for row in db.execute(explained(statement))]
    assert "SEARCH events USING INDEX ix_events_received_at (received_at>?)" in plan


def explained(statement: Any) -> Any:
    sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    return text(f"EXPLAIN QUERY PLAN {sql}")
