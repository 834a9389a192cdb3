"""SQLite's log is copied into the ledger by a thread of its own."""

from pathlib import Path

from sqlalchemy import URL

from ledger.checkpoints import Checkpointer
from ledger.store import Ledger
from tests.cli.dev.waiting import wait_until
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, store

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
    checkpointer.stop()
    # What is written while the one before it is still being copied follows it in the log, and no other follows that.
    assert log.stat().st_size < 3 * len(BODY)
