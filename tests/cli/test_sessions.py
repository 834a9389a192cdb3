"""The sessions that docs/cli.md shows are real: each is replayed on a terminal of 80 columns, letter by letter.

`HOOKLINE_WRITE_GOLDEN=1` writes them anew: `make docs` then brings them into the page.
"""

import os
import re
import shlex
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from bench import varied_ledger
from ledger.event import EffectState
from ledger.store import Ledger
from ledger.tables import deliveries, dismissals
from tests.cli.shell import Shell
from tests.cli.stock import AT, DEAD, add_effect, fill

SESSIONS = Path(__file__).parent / "sessions"

PROMPT = "$ "


def replay(shell: Shell, session: str) -> str:
    """Run each of a session's commands; give the session as it is now."""
    quiet = shell.having(NO_COLOR="1")
    commands = re.findall(r"^\$ hookline (.*)$", session, flags=re.MULTILINE)
    return "\n".join(f"{PROMPT}hookline {words}\n{quiet.on_terminal(80, *shlex.split(words))}" for words in commands)


@pytest.fixture
def stock(ledger: Ledger) -> None:
    """The ledger of the sessions."""
    fill(ledger)
    text = "Dispute opened: $49.00\nSend evidence by 1 Dec 2021"
    add_effect(ledger, event_id=DEAD, delivery_id=3, state=EffectState.DEAD, text=text)
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == 4).values(state="dismissed", replay_id=7))
        db.execute(insert(dismissals).values(delivery_id=4, at=AT + 900, who="ana", reason="booked by hand"))


@pytest.fixture
def busy_month(ledger: Ledger) -> None:
    """A ledger of which there are statistics."""
    with ledger.write() as db:
        varied_ledger.fill(db, 9_000, AT)


@pytest.mark.parametrize(("name", "its_ledger"), [("lists", "stock"), ("event", "stock"), ("stats", "busy_month")])
def test_what_the_manual_shows_is_what_people_see(
    request: pytest.FixtureRequest, shell: Shell, name: str, its_ledger: str
) -> None:
    request.getfixturevalue(its_ledger)
    path = SESSIONS / f"{name}.txt"
    session = path.read_text()
    shown = replay(shell.having(STRIPE_WEBHOOK_SECRET="whsec_of_nobody_at_all"), session)
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()
