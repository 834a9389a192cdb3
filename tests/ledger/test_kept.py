"""What is written over a connection that is kept is what is written otherwise."""

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, select, text

from config.database import make_engine
from config.metrics import uncounted
from ledger.append import Doorbells, Room, append
from ledger.commits import Commits
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.pieces import write_body
from ledger.store import Ledger
from ledger.tables import deliveries, events
from tests.engines import POSTGRESQL, SQLITE
from tests.ledger.making import new_event, settings_for

_examples = itertools.count()

EVENTS = st.tuples(
    st.sampled_from(("stripe", "github")),
    st.integers(0, 5),  # which one of its source
    st.sampled_from(((), ("topic.run",), ("topic.run", "other.run"))),
)
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=8), max_size=5)


@pytest.fixture
def rung() -> list[Doorbells]:
    """What was announced."""
    return []


@pytest.fixture
def commits(ledger: Ledger, rung: list[Doorbells]) -> Iterator[Commits]:
    """Write over a connection that is kept."""
    with closing(Commits(ledger, rung.append, metrics=uncounted())) as commits:
        yield commits


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_batches_become_the_same_receipts_rows_and_doorbells(
    ledger: Ledger, commits: Commits, rung: list[Doorbells], batches: list[list[tuple[str, int, tuple[str, ...]]]]
) -> None:
    """Whatever is in them twice, or in the ledger already."""
    example = next(_examples)
    rung.clear()
    said = [commits.write(_events(f"kept-{example}", batch)) for batch in batches]
    plain, plainly_rung = [], []
    for batch in batches:
        with ledger.write() as db:
            appended = append(db, _events(f"plain-{example}", batch), Room())
        plain.append(appended.receipts)
        plainly_rung += [appended.doorbells] if appended.doorbells else []
    assert _told(ledger, f"kept-{example}", said, rung) == _told(ledger, f"plain-{example}", plain, plainly_rung)


def _events(prefix: str, batch: list[tuple[str, int, tuple[str, ...]]]) -> list[NewEvent]:
    return [
        new_event(key=f"{prefix}-{number}", source=source, handlers=handlers, body=b"{}", received_at=1.9e9)
        for source, number, handlers in batch
    ]


def _told(ledger: Ledger, prefix: str, said: object, rung: list[Doorbells]) -> object:
    """Say with keys instead of ids what was written, answered and rung for."""
    new = events.c.dedupe_key.startswith(f"{prefix}-")
    with ledger.read() as db:
        rows = [dict(row) for row in db.execute(select(events).where(new).order_by(events.c.id)).mappings()]
        its = select(deliveries).join(events).where(new).order_by(deliveries.c.id)
        their_deliveries = [dict(row) for row in db.execute(its).mappings()]
    key_of = {row["id"]: (row["source"], row["dedupe_key"].removeprefix(prefix)) for row in rows}
    delivery_of = {row["id"]: (key_of[row["event_id"]], row["handler"]) for row in their_deliveries}
    receipts = [[(key_of[each.event_id], each.duplicate) for each in batch] for batch in said]  # type: ignore[attr-defined]
    return (
        receipts,
        [{**row, "id": None, "dedupe_key": None, "external_id": None} for row in rows],
        [{**row, "id": None, "event_id": None, "of": key_of[row["event_id"]]} for row in their_deliveries],
        [{queue: sorted(delivery_of[each] for each in ids) for queue, ids in bells.items()} for bells in rung],
    )


@pytest.mark.parametrize("database", [SQLITE])
def test_after_an_error_nothing_is_left_of_it_and_the_next_batch_is_written(
    ledger: Ledger, commits: Commits, rung: list[Doorbells]
) -> None:
    """A trigger is what raises, in the midst of a transaction: the database ends it, and says that it is full."""
    [first] = commits.write([new_event(handlers=())])
    with ledger.write() as db:
        db.exec_driver_sql("CREATE TRIGGER trouble BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ROLLBACK, 'no'); END")
    [refused] = commits.write([new_event()])
    with ledger.write() as db:
        db.exec_driver_sql("DROP TRIGGER trouble")
    [second] = commits.write([new_event()])
    assert isinstance(refused, LedgerUnavailable)
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert second.event_id == first.event_id + 1
    assert len(rung) == 1


@pytest.mark.parametrize("database", [SQLITE])
def test_nothing_keeps_its_lock_after_an_error(ledger: Ledger, commits: Commits) -> None:
    """Another program may write at once."""
    commits.write([new_event(type="\ud800")])
    with ledger.read() as db:
        path = db.engine.url.database
    with closing(sqlite3.connect(str(path), timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")


@pytest.mark.parametrize("database", [POSTGRESQL])
def test_a_server_that_has_hung_up_between_two_batches_costs_no_event(ledger: Ledger, commits: Commits) -> None:
    """As after a restart."""
    said = [commits.write([new_event()])]
    with ledger.read() as db:
        assert db.execute(HANG_UP).scalars().all() == [True]
    said.append(commits.write([new_event()]))
    assert all(isinstance(each, Receipt) for batch in said for each in batch)


@pytest.mark.parametrize("database", [POSTGRESQL])
def test_one_connection_is_enough(ledger_url: URL, ledger: Ledger, rung: list[Doorbells]) -> None:
    """Where DATABASE_POOL_SIZE allows no other, a probe and an event with a large body get the one that is kept."""
    body_id = write_body(ledger, b"{}", until=time.monotonic() + 60)
    with (
        closing(Ledger(make_engine(settings_for(ledger_url, DATABASE_POOL_SIZE="1")))) as small,
        closing(Commits(small, rung.append, metrics=uncounted())) as commits,
    ):
        batches = ([new_event()], [None], [new_event(body=b"", body_id=body_id), new_event()], [new_event()])
        said = [type(each) for batch in batches for each in commits.write(batch)]
    assert said == [Receipt, type(None), Receipt, Receipt, Receipt]


HANG_UP = text("""
    SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%INTO events%' AND pid <> pg_backend_pid()
""")
# It waits until that process of the server is gone.
