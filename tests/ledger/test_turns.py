"""SQLite has one writer: who waits for the turn to write may say for how long, and takes nobody's turn by giving up."""

import fcntl
from pathlib import Path

import pytest
from sqlalchemy import URL, insert

from config.database import make_engine
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tables import probes
from tests.engines import ON_SQLITE
from tests.ledger.making import settings_for


@ON_SQLITE
def test_a_turn_that_does_not_come_in_time_is_given_up_and_given_back_when_it_comes(ledger_url: URL) -> None:
    hurried = Ledger(make_engine(settings_for(ledger_url)), turn_patience_s=0.2)
    patient = Ledger(make_engine(settings_for(ledger_url)), turn_patience_s=30.0)
    with Path(f"{ledger_url.database}.lock").open("ab") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match=r"others have been writing for 0\.2 s"), hurried.write():
                pytest.fail("it is nobody else's turn")
        fcntl.flock(turn, fcntl.LOCK_UN)
    for number, ledger in enumerate((patient, hurried, patient), start=1):
        with ledger.write() as db:
            db.execute(insert(probes).values(id=number, at=1.0))
    hurried.close()
    patient.close()
