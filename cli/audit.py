"""Look at the audit log: who changed what, when and why."""

import os
from typing import Annotated

import typer

from cli.ledger_door import looking
from cli.options import DEFAULT_LIMIT, Json, Limit
from cli.remote.api import is_remote, open_api
from cli.show import Column, View, note, print_json, print_table

COLUMNS = (
    Column("id"),
    Column("done_at"),
    Column("who", elastic=True),
    Column("via"),
    Column("action"),
    Column("what", elastic=True),
    Column("reason", elastic=True),
)

audit_app = typer.Typer(no_args_is_help=True, help="Look at who changed what, when and why.")


@audit_app.callback()
def _audit() -> None:
    """Look at who changed what, when and why."""  # with a callback, `list` stays a command of its own


@audit_app.command("list")
def list_audit(
    before: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="Only what is older than this entry: the next page.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List what was retried, replayed, dismissed and pruned, and which tokens were made, newest first.

    Examples:
      hookline audit list
      hookline audit list --json | jq 'select(.via == "api")'
    """
    if is_remote(os.environ):
        from cli.remote.looking import list_audit  # noqa: PLC0415  # what is elsewhere; see ledger_door

        found = list_audit(open_api(os.environ), limit=limit, before=before)
    else:
        from ledger.views import audit  # noqa: PLC0415  # see above

        with looking(os.environ) as db:
            found = audit.list_audit(db, limit=limit, before=before)
    if as_json:
        print_json(found)
    else:
        print_table([_row(view) for view in found], COLUMNS)
        if not found:
            note("nothing was changed yet")


def _row(view: View) -> View:
    return {
        **view,
        "done_at": view["at"],
        "what": ", ".join(_fact(name, value) for name, value in view["detail"].items() if value),
    }


def _fact(name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{value['number']:,} {name}" if "number" in value else name
    return f"{len(value):,} {name}" if isinstance(value, list) else f"{name} {value}"
