"""SQLite's log is copied into the ledger by a thread of its own."""

import fcntl
from pathlib import Path

import pytest
from sqlalchemy import URL

from config.database import make_engine
from ledger.checkpoints import Checkpointer
from ledger.store import Ledger
from tests.cli.dev.waiting import wait_until
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, settings_for, store

BODY = bytes(1024 * 1024)


@ON_SQLITE
def test_what_was_written_is_soon_in_the_ledgers_own_file_and_the_log_begins_anew(
    ledger: Ledger, ledger_url: URL
) -> None:
    file, log = Path(str(ledger_url.database)), Path(f"{ledger_url.database}-wal")
    checkpointer = Checkpointer(ledger)
    checkpointer.start()
    for written in range(1, 7):
        store(ledger, new_event(body=BODY))
        wait_until(lambda: file.stat().st_size > written * len(BODY))  # noqa: B023  # not kept

    def begins_anew() -> bool:
        """Write a little: it makes the log no longer if there is room at its beginning."""
        before = log.stat().st_size
        store(ledger, new_event())
        return log.stat().st_size == before

    wait_until(begins_anew)  # what is written while the one before it is still being copied follows it
    checkpointer.stop()


@ON_SQLITE
def test_an_error_that_is_not_about_the_moment_does_not_end_it(
    ledger_url: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    file, log = Path(str(ledger_url.database)), Path(f"{ledger_url.database}-wal")
    whole = file.read_bytes()
    file.write_bytes(b"no database at all" * 1000)
    log.write_bytes(b"no log")
    ledger = Ledger(make_engine(settings_for(ledger_url)))
    checkpointer = Checkpointer(ledger)
    checkpointer.start()
    wait_until(lambda: "checkpoint failed" in "".join(capsys.readouterr()))
    log.unlink(missing_ok=True)
    file.write_bytes(whole)
    store(ledger, new_event(body=BODY))
    wait_until(lambda: file.stat().st_size > len(BODY))
    checkpointer.stop()
    ledger.close()


@ON_SQLITE
def test_a_ledger_that_is_closed_while_somebody_else_writes_ends_it_quietly(ledger: Ledger, ledger_url: URL) -> None:
    file = Path(str(ledger_url.database))
    store(ledger, new_event(body=BODY))
    checkpointer = Checkpointer(ledger)
    with Path(f"{ledger_url.database}.lock").open("ab") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)
        checkpointer.start()
        wait_until(lambda: file.stat().st_size > len(BODY))  # what is left waits for the lock
        checkpointer.stop(timeout_s=0)
        ledger.close()
    checkpointer.stop()  # an error of a thread's would fail this test
