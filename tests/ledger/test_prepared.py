"""A prepared statement does what SQLAlchemy would have done with it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BindParameter, Connection, bindparam, delete, select, update

from ledger.errors import LedgerUnavailable
from ledger.prepared import Prepared, insert_unless_known
from ledger.store import Ledger, Transaction, insert_or_ignore, run, savepoint
from ledger.tables import channels

NAME: BindParameter[str] = bindparam("its_name")
FIND = select(channels).where(channels.c.name == NAME, channels.c.paused_until >= 0)
CHANGE = (
    update(channels)
    .where(channels.c.name == NAME, channels.c.channel_id != "100% :not? %(a)s placeholder")
    .values(channel_id=bindparam("its_id"), paused_until=channels.c.paused_until + 1)
)
INSERT, PREPARED_FIND, PREPARED_CHANGE = (
    insert_unless_known(channels, channels.c.name),
    Prepared(FIND),
    Prepared(CHANGE),
)

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXTS, "channel_id": st.none() | TEXTS},
        optional={"paused_until": st.floats(0, 1e9), "next_at": st.floats(0, 1e9)},
    ),
    max_size=6,
)


def plainly(db: Connection, rows: list[dict[str, Any]], ids: list[str]) -> list[Any]:
    """Insert, change and find by SQLAlchemy."""
    said: list[Any] = [db.execute(insert_or_ignore(db, channels, channels.c.name), row).scalar() for row in rows]
    said += [
        db.execute(CHANGE, {"its_name": row["name"], "its_id": id_}).rowcount
        for row, id_ in zip(rows, ids, strict=False)
    ]
    return said + [dict(db.execute(FIND, {"its_name": row["name"]}).mappings().one()) for row in rows]


def prepared(db: Connection, rows: list[dict[str, Any]], ids: list[str]) -> list[Any]:
    """Do the same by prepared statements, in a handler's hands."""
    mine = Transaction(db)
    said: list[Any] = [run(db, INSERT, row).scalar() for row in rows]
    said += [
        mine.execute(PREPARED_CHANGE, {"its_name": row["name"], "its_id": id_}).rowcount
        for row, id_ in zip(rows, ids, strict=False)
    ]
    return said + [each for row in rows for each in run(mine, PREPARED_FIND, {"its_name": row["name"]}).by_name()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=ROWS, ids=st.lists(TEXTS, max_size=6))
def test_what_is_prepared_says_and_does_the_same(ledger: Ledger, rows: list[dict[str, Any]], ids: list[str]) -> None:
    both = []
    for way in (plainly, prepared):
        with ledger.write() as db:
            db.execute(delete(channels))
            said = way(db, rows, ids)
            both.append((said, db.execute(select(channels).order_by(channels.c.name)).all()))
    assert both[0] == both[1]


def test_a_value_that_is_missing_is_not_made_up(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="its_name"), ledger.write() as db:
        run(db, PREPARED_FIND, {})


def test_a_savepoint_that_the_database_does_not_take_is_no_failure_of_the_work(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable), ledger.write() as db, savepoint(db):
        db.exec_driver_sql("RELEASE SAVEPOINT work")
