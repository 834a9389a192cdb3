"""`hookline migrate`: the ledger's tables, made or brought up to date."""

import os

from cli import ledger_door
from cli.options import Json
from cli.show import print_json, write


def migrate(as_json: Json = False) -> None:
    """Create the ledger's tables, or bring them up to date.

    Run it before a deploy's processes start; running it again changes nothing.
    With `hookline dev` it is not needed.

    Examples:
      hookline migrate
      DATABASE_URL=postgresql://hookline@db/hookline hookline migrate
    """
    address = ledger_door.migrate(os.environ)
    if as_json:
        print_json([{"action": "migrate", "ledger": address, "status": "up to date"}])
    else:
        write(f"the ledger's tables are up to date ({address})\n")
