"""What the ledger does when the database is in trouble."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection, insert, select, text
from sqlalchemy.exc import DBAPIError

from config.database import make_engine
from ledger import claims
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tables import events, probes
from tests.engines import ON_POSTGRESQL
from tests.ledger.making import new_event, settings_for, store
from tests.servers.postgresql import PostgresServer

pytestmark = ON_POSTGRESQL

TROUBLE = {
    "08006": "the connection was lost",
    "25006": "read only, after a failover",
    "40001": "a conflict",
    "40P01": "a deadlock",
    "53100": "the disk is full",
    "53200": "no memory",
    "53300": "no connections left",
    "55P03": "somebody else has the lock",
    "57014": "it took too long, or was cancelled",
    "57P01": "shutting down",
    "57P03": "starting",
    "58030": "input or output failed",
}
FAULTY = {
    "22001": "too long",
    "22021": "a character that cannot be",
    "23505": "a key that is there",
    "42P01": "no such table",
    "54000": "too large for an index",
    "XX000": "a bug",
}


@pytest.fixture
def small(ledger_url: URL) -> Iterator[Ledger]:
    """The ledger of a process with one connection and little patience."""
    settings = settings_for(ledger_url, DATABASE_POOL_SIZE="1", DATABASE_STATEMENT_TIMEOUT_S="1")
    small = Ledger(make_engine(settings))
    yield small
    small.close()


def fail(db: Connection, sqlstate: str) -> None:
    """Let the server raise an error."""
    db.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'made' USING ERRCODE = '{sqlstate}'; END $$")


def write_and_fail(ledger: Ledger, sqlstate: str) -> None:
    with ledger.write() as db:
        db.execute(insert(probes).values(id=1, at=0))
        fail(db, sqlstate)


def pid(db: Connection) -> int:
    return int(db.execute(text("SELECT pg_backend_pid()")).scalar_one())


@pytest.mark.parametrize("sqlstate", TROUBLE, ids=TROUBLE.get)
def test_trouble_of_the_database_can_be_over_the_next_time(ledger: Ledger, sqlstate: str) -> None:
    with pytest.raises(LedgerUnavailable):
        write_and_fail(ledger, sqlstate)
    with ledger.write() as db:
        assert db.execute(select(probes.c.id)).all() == []


@pytest.mark.parametrize("sqlstate", FAULTY, ids=FAULTY.get)
def test_what_is_wrong_with_a_statement_is_no_trouble_of_the_database(ledger: Ledger, sqlstate: str) -> None:
    with pytest.raises(DBAPIError), ledger.write() as db:
        fail(db, sqlstate)


@pytest.mark.parametrize("sqlstate", ["25006", "57P01"])
def test_a_server_that_is_not_the_one_to_write_to_any_more_is_connected_to_anew(small: Ledger, sqlstate: str) -> None:
    with small.write() as db:
        before = pid(db)
    with contextlib.suppress(LedgerUnavailable), small.write() as db:
        fail(db, sqlstate)
    with small.write() as db:
        assert pid(db) != before


def test_so_it_is_if_a_prepared_statement_hears_of_it(small: Ledger) -> None:
    ids = store(small, new_event())
    with small.write() as db:
        before = pid(db)
        db.exec_driver_sql("SET SESSION default_transaction_read_only = on")
    with pytest.raises(LedgerUnavailable), small.write() as db:
        claims.claim(db, ids, handlers=["topic.run"], token="t", now=0)
    with small.write() as db:
        assert pid(db) != before


def test_a_ledger_whose_connections_are_all_in_use_is_unavailable(small: Ledger) -> None:
    with small.read(), pytest.raises(LedgerUnavailable, match="in use"), small.read():
        pass


def test_a_table_that_somebody_locks_is_waited_for_as_long_as_the_settings_say(ledger_url: URL, ledger: Ledger) -> None:
    impatient = Ledger(make_engine(settings_for(ledger_url, DATABASE_LOCK_TIMEOUT_S="0.2")))
    with ledger.write() as db:
        db.exec_driver_sql("LOCK TABLE events")
        with pytest.raises(LedgerUnavailable, match="lock timeout"), impatient.read() as other_db:
            other_db.execute(select(events.c.id))
    impatient.close()


def test_a_statement_may_take_as_long_as_the_settings_say(small: Ledger) -> None:
    with pytest.raises(LedgerUnavailable, match="statement timeout"), small.read() as db:
        db.execute(text("SELECT pg_sleep(60)"))


def test_a_connection_that_has_begun_to_hang_is_replaced_before_it_is_used(small: Ledger) -> None:
    with small.read() as db:
        backend = pid(db)
    os.kill(backend, signal.SIGSTOP)
    try:
        with small.read() as db:
            assert pid(db) != backend
    finally:
        os.kill(backend, signal.SIGCONT)


def test_a_statement_whose_answer_never_comes_is_given_up(small: Ledger) -> None:
    with pytest.raises(LedgerUnavailable, match="no answer within"):
        ask_a_server_that_hangs(small)
    with small.read() as db:
        assert pid(db)


def ask_a_server_that_hangs(ledger: Ledger) -> None:
    with ledger.read() as db:
        backend = pid(db)
        os.kill(backend, signal.SIGSTOP)
        try:
            pid(db)
        finally:
            os.kill(backend, signal.SIGCONT)


def test_a_server_that_does_not_even_greet_is_not_waited_for(ledger_url: URL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_ledger = Ledger(make_engine(settings_for(ledger_url.set(port=silent.getsockname()[1]))))
        with pytest.raises(LedgerUnavailable, match="timeout"), silent_ledger.read():
            pass


def test_after_a_restart_of_the_server_the_next_transaction_finds_it(
    ledger: Ledger, postgresql: PostgresServer
) -> None:
    store(ledger, new_event())
    postgresql.stop()
    try:
        with pytest.raises(LedgerUnavailable, match=r"refused|terminating"), ledger.read():
            pass
    finally:
        postgresql.start()
    store(ledger, new_event())


def test_a_transaction_in_which_the_server_restarts_is_unavailable_and_nothing_of_it_is_kept(
    ledger: Ledger, postgresql: PostgresServer
) -> None:
    with pytest.raises(LedgerUnavailable):
        write_while_it_restarts(ledger, postgresql)
    with ledger.read() as db:
        assert db.execute(select(probes.c.id)).all() == []


def write_while_it_restarts(ledger: Ledger, server: PostgresServer) -> None:
    with ledger.write() as db:
        db.execute(insert(probes).values(id=1, at=0))
        server.stop()
        server.start()


class Interrupt(BaseException):
    """As dramatiq raises it in a thread."""


def test_a_connection_that_was_in_use_at_an_interrupt_is_not_used_again(small: Ledger) -> None:
    with small.write() as db:
        before = pid(db)
    with pytest.raises(Interrupt), small.write():
        raise Interrupt
    with small.write() as db:
        assert pid(db) != before


def test_a_commit_waits_for_the_disk_where_that_is_asked_for(ledger_url: URL) -> None:
    for fsync, expected in ((True, "on"), (False, "off")):
        engine = make_engine(settings_for(ledger_url), fsync=fsync)
        with engine.connect() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == expected
        engine.dispose()


def test_the_lock_of_a_host_that_is_gone_does_not_last_for_hours(ledger: Ledger) -> None:
    with ledger.read() as db:
        assert db.execute(text("SHOW tcp_keepalives_idle")).scalar() == "30"
