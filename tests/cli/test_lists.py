"""What the lists find, and what `--json` says."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, update

from cli.moment import parse_moment
from ledger import views
from ledger.errors import SeveralEvents
from ledger.event import DeliveryState, EventState
from ledger.store import Ledger
from ledger.tables import deliveries, dismissals, events
from ledger.views import deliveries as deliveries_view
from ledger.views import events as events_view
from tests.cli.shell import Shell
from tests.cli.stock import AT, DEAD, DONE, FAILED, PENDING, UNHANDLED, UNPARSEABLE, fill
from tests.engines import ON_BOTH, ON_SQLITE
from tests.examples import examples
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
    (request,) = shell.objects("requests", "list", "--source", "stripe", "--since", "all")
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


@ON_SQLITE
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
    listed = shell.run("events", "list", "--since", "all", "--limit", "100000", "--json")
    assert listed.stdout.count("\n") == MORE_THAN_SQLITES_PARAMETERS
    assert json.loads(listed.stdout.partition("\n")[0])["id"] == MORE_THAN_SQLITES_PARAMETERS


@ON_BOTH
def test_an_event_is_found_by_our_id_before_the_providers_and_by_the_newest_of_the_providers(ledger: Ledger) -> None:
    store(ledger, new_event(key="one", external_id="2"), new_event(key="two", external_id="2"))
    store(ledger, new_event(key="three", external_id="99"), new_event(key="four", external_id="99"))
    with ledger.read() as db:
        addresses = ("2", "99", "3", "²", "5", "02")
        assert [views.find_event(db, address) for address in addresses] == [2, 4, 3, None, None, 2]
        assert list(views.find_events(db, addresses).values()) == [2, 4, 3, None, None, 2]


def test_every_delivery_state_is_a_choice(shell: Shell) -> None:
    shown = shell.run("deliveries", "list", "--help").stdout
    assert all(state in shown for state in DeliveryState)


@ON_BOTH
def test_how_an_external_id_begins_is_enough_where_only_one_begins_so(ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1Qabc"), new_event(key="evt_1Qabd"), new_event(key="evt_2%xyz"))
    with ledger.read() as db:
        addresses = ("evt_1Qabd", "evt_2", "evt_2_", "evt")
        assert [views.find_event(db, address) for address in addresses] == [2, 3, None, None]
        many = [f"nothing-{number}" for number in range(30)]
        for names in (addresses, (*addresses, *many)):
            assert list(views.find_events(db, names).values())[:5] == [2, 3, None, None, None][: len(names)]
        with pytest.raises(SeveralEvents, match="evt_1Qabc, evt_1Qabd"):
            views.find_event(db, "evt_1Q")
        with pytest.raises(SeveralEvents, match="evt_1Qabc, evt_1Qabd"):
            views.find_events(db, ("evt_1Q", *many))


DAY = {"since": AT}
FILTERS: list[dict[str, Any]] = [
    {},
    DAY,
    {"source": "stripe"},
    {"type": "charge.refunded"},
    {"type": "charge.*", **DAY},
    {"account": "acct_1"},
    {"handler": "topic.run"},
    {"handler": "topic.run", **DAY},
    {"source": "stripe", "type": "charge.*", "handler": "topic.run", "until": AT},
    {"before": (AT, 1, 1)},
    {"external_id": "evt_1Q"},
]


def plans(ledger: Ledger, wanted: views.Filter, page: Any) -> list[str]:
    """Say how SQLite goes about the statement that finds what is on this page."""
    asked: list[tuple[str, Any]] = []
    with ledger.read() as db:
        event.listen(db, "before_cursor_execute", lambda *args: asked.append((args[2], args[3])))
        page(db, wanted)
    with ledger.read() as db:
        connection = db.connection.driver_connection
        assert connection is not None
        return [
            row[3]
            for sql, values in asked
            if " DESC" in sql
            for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        ]


@ON_SQLITE
def test_a_list_goes_down_an_index_from_the_newest_and_sorts_no_history(ledger: Ledger) -> None:
    fill(ledger)
    store(ledger, new_event())
    for page, wanted in product((views.page_of_events, views.page_of_deliveries), FILTERS):
        before = {"before": wanted["before"][:2]} if "before" in wanted and page is views.page_of_events else {}
        plan = plans(ledger, views.Filter(limit=20, **(wanted | before)), page)
        assert not [step for step in plan if step.startswith("SCAN") and " INDEX " not in step], (wanted, plan)
        if "external_id" not in wanted:
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, (wanted, plan)


@ON_SQLITE
def test_the_states_that_need_somebody_are_found_by_an_index_and_never_by_reading_all_of_history(
    ledger: Ledger,
) -> None:
    fill(ledger)
    small = ("_waiting", "_queued", "_running", "_dead", "_due", "_sending", "_flawed", "SCAN dismissals")
    for page, states in ((views.page_of_events, events_view.FEW), (views.page_of_deliveries, deliveries_view.FEW)):
        for state in states:
            plan = plans(ledger, views.Filter(state=state, limit=20), page)
            large = [step for step in plan if step.startswith("SCAN") and not any(name in step for name in small)]
            assert not large, (state, plan)


def test_without_since_a_list_is_of_the_last_day_and_says_that_there_is_more(shell: Shell, ledger: Ledger) -> None:
    now = time.time()
    for age_days in (9, 2.5, 0.5, 0.1):
        store(ledger, new_event(received_at=now - 86_400 * age_days, handlers=()))
    assert [view["id"] for view in shell.objects("events", "list")] == [4, 3]
    assert [view["id"] for view in shell.objects("events", "list", "--until", "2d")] == [2]
    assert [view["id"] for view in shell.objects("events", "list", "--since", "all")] == [4, 3, 2, 1]
    (paged,) = shell.objects("events", "list", "--before", "3", "--since", "4d")
    assert paged["id"] == 2
    older = shell.run("events", "list", "--until", "4d", "--json")
    assert older.stdout == ""
    assert "--since all" in older.stderr
    more = shell.run("events", "list", "--since", "all", "--limit", "2", "--json")
    assert more.stderr == "there are more: --before 3 shows the next ones, --limit more at once\n"
    assert shell.run("events", "list", "--type", "no.such").stderr == "no events match\n"


def test_what_needs_somebody_is_listed_however_old_it_is(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert [view["id"] for view in shell.objects("events", "list", "--state", "unparseable")] == [UNPARSEABLE]
    assert [view["id"] for view in shell.objects("deliveries", "list", "--state", "dead")] == [4, 3]
    assert [view["id"] for view in shell.objects("events", "list", "--external-id", "evt_3D")] == [DEAD]


def test_before_names_something_that_there_is(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert shell.refused("events", "list", "--before", "99") == "--before: there is no 99 among the events"
    listed = shell.objects("deliveries", "list", "--since", "all", "--before", "3")
    assert [view["id"] for view in listed] == [2, 1]
    assert [view["id"] for view in shell.objects("events", "list", "--since", "all", "--before", "evt_3Dead")] == [2, 1]


@ON_BOTH
def test_events_are_found_by_account_by_handler_and_by_how_their_ids_begin(ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1Qabc", account="acct_1"), new_event(key="evt_1Q_bc", handlers=("a.one",)))
    assert found(ledger, account="acct_1") == [2]
    assert found(ledger, handler="a.one") == [1]
    assert found(ledger, handler="no.such") == []
    assert sorted(found(ledger, external_id="evt_1Q")) == [1, 2]
    assert found(ledger, external_id="evt_1Q_") == [1]


@ON_BOTH
def test_deliveries_are_counted_by_state(ledger: Ledger) -> None:
    fill(ledger)
    with ledger.read() as db:
        assert views.count_deliveries(db) == {"dead": 2, "done": 1, "failed": 1, "queued": 1}


MOMENTS = [AT + number for number in range(6)]
KINDS = [("stripe", "charge.refunded"), ("stripe", "charge.dispute.created"), ("github", "push"), ("slack", "message")]
HANDLERS = ["a.one", "b.two", "c.three"]

STATES_TOO = {"dead": "dead", "done": "dismissed", "failed": "failed", "pending": "queued"}  # of deliveries

filters = st.builds(
    views.Filter,
    source=st.none() | st.sampled_from(["stripe", "github", "nobody"]),
    type=st.none() | st.sampled_from(["push", "charge.*", "*e*", "nothing"]),
    state=st.none() | st.sampled_from([state.value for state in EventState]),
    handler=st.none() | st.sampled_from([*HANDLERS, "no.such"]),
    account=st.none() | st.sampled_from(["acct_1", "acct_9"]),
    external_id=st.none() | st.sampled_from(["evt_0", "evt_1", "evt"]),
    since=st.none() | st.sampled_from([0.0, *MOMENTS]),
    until=st.none() | st.sampled_from(MOMENTS),
)


def fill_by_lot(ledger: Ledger, random: Random) -> None:
    """Store forty events of all kinds, many of them at the same moment."""
    for number in range(40):
        source, type_ = random.choice(KINDS)
        made = new_event(
            key=f"evt_{number:02}",
            source=source,
            type=type_,
            received_at=random.choice(MOMENTS),
            account=random.choice([None, "acct_1", "acct_2"]),
            flaw=random.choice([None] * 9 + ["not JSON"]),
            handlers=tuple(random.sample(HANDLERS, random.randrange(3))),
        )
        for delivery_id in store(ledger, made):
            with ledger.write() as db:
                values = {"state": random.choice(list(DeliveryState))}
                db.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(values))
                if values["state"] == DeliveryState.DISMISSED:
                    db.execute(insert(dismissals).values(delivery_id=delivery_id, at=AT, who="ana", reason="no"))


def matches(view: dict[str, Any], wanted: views.Filter) -> bool:
    """Say the same as a filter, in Python."""
    at = datetime.fromisoformat(view["received_at"]).timestamp()
    return (
        wanted.source in (None, view["source"])
        and (wanted.type is None or fnmatchcase(view["type"], wanted.type))
        and wanted.account in (None, view["account"])
        and view["external_id"].startswith(wanted.external_id or "")
        and at >= (wanted.since or 0)
        and (wanted.until is None or at < wanted.until)
    )


def in_pages(db: Any, page: Any, wanted: views.Filter, size: int) -> list[int]:
    ids: list[int] = []
    before = None
    while True:
        found = page(db, replace(wanted, limit=size, before=before))
        ids += [view["id"] for view in found.views]
        if found.next is None:
            return ids
        before = found.next


@ON_BOTH
def test_whatever_is_asked_for_the_pages_are_what_matches_newest_first(ledger: Ledger) -> None:
    fill_by_lot(ledger, Random(5))  # noqa: S311  # no secret
    with ledger.read() as db:
        every = views.list_events(db, views.Filter())
        assert len(every) == 40

        @examples(30)
        @given(wanted=filters, size=st.integers(1, 15))
        def check(wanted: views.Filter, size: int) -> None:
            fitting = [view for view in every if matches(view, wanted)]
            expected = [
                view["id"]
                for view in fitting
                if wanted.state in (None, view["state"])
                and (wanted.handler is None or wanted.handler in {each["handler"] for each in view["deliveries"]})
            ]
            assert in_pages(db, views.page_of_events, wanted, size) == expected
            state = STATES_TOO.get(wanted.state or "")
            owed = {
                each["id"]
                for view in fitting
                for each in view["deliveries"]
                if state in (None, each["state"]) and wanted.handler in (None, each["handler"])
            }
            ids = in_pages(db, views.page_of_deliveries, replace(wanted, state=state), size)
            assert (len(ids), set(ids)) == (len(owed), owed)

        check()
