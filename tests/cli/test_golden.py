"""What every command shows, letter by letter, on a terminal of 80 columns and on one of 160.

`HOOKLINE_WRITE_GOLDEN=1` writes the files anew: look at every line of the difference.
"""

import os
import shlex
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from ledger.store import Ledger
from tests.cli.office import furnish
from tests.cli.shell import Shell

GOLDEN = Path(__file__).parent / "golden"

TABLES = """
hookline events list --since all --limit 8
hookline events list --since all --state dead
hookline deliveries list --since all --before 7
hookline deliveries list --state dead
hookline requests list --rejected --since all
hookline sources
hookline payments list
hookline payments summary --since 2021-11-23 --until 2021-11-24
hookline replays list
hookline alerts check
hookline alerts folded 1
hookline tokens list
hookline audit list
""".strip().splitlines()

PAGES = """
hookline
hookline trigger slack
hookline events get evt_3D
hookline events get 5
hookline stats --since 2021-11-23 --until 2021-11-24
hookline payments get pi_3SAM
hookline payments get po_1SAM
hookline retry --all --dry-run
hookline dismiss --all --reason 'test data' --dry-run
hookline replay --type 'payment_intent.*' --since all --dry-run
hookline replay evt_01 evt_12 --dry-run --to http://localhost:3000/hooks --secret whsec_0123456789
hookline replay evt_12 --handler notifications.dispute --dry-run --run
hookline replays get 1
hookline replays get 2
hookline alerts preview evt_12
hookline verify --request 1
hookline verify --event evt_01 --headers headers.txt --secret whsec_0123456789
hookline prune --dry-run
""".strip().splitlines()
# Their lines are what they are; only the first knows how wide the terminal is.


@pytest.mark.parametrize(("columns", "commands"), [(80, [*TABLES, *PAGES]), (160, [*TABLES, PAGES[0]])])
def test_every_command_shows_what_it_showed(
    shell: Shell, ledger: Ledger, tmp_path: Path, columns: int, commands: list[str]
) -> None:
    furnish(ledger)
    (tmp_path / "headers.txt").write_text("Stripe-Signature: t=1637641853,v0=12\n")
    # "dumb": what is bold is not for these files.
    quiet = shell.having(NO_COLOR="1", TERM="dumb", STRIPE_WEBHOOK_SECRET="whsec_of_nobody_at_all")
    sessions = [
        f"$ {each}\n{quiet.on_terminal(columns, *shlex.split(each)[1:], statuses={0, 1, 2})}" for each in commands
    ]
    shown = "\n".join(sessions).replace(str(CHECKOUT), "/hookline")
    path = GOLDEN / f"{columns}.txt"
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()
