"""Look at requests that were rejected."""

import os

import typer

from cli.ledger_door import reading
from cli.moment import check_window
from cli.options import DEFAULT_LIMIT, Json, Limit, Since, Source, Until
from cli.show import Column, note_cut, print_json, print_table

COLUMNS = (
    Column("id"),
    Column("received_at"),
    Column("source"),
    Column("status"),
    Column("reason"),
    Column("body_size", extra=True),
    Column("path", elastic=True),
)

requests_app = typer.Typer(no_args_is_help=True, help="Look at requests that were rejected, and why.")


@requests_app.callback()
def _requests() -> None:
    """Look at requests that were rejected, and why."""  # with a callback, `list` stays a command of its own


@requests_app.command("list")
def list_requests(
    source: Source = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List rejected requests, newest first, with the reason that their senders were not told.

    Examples:
      hookline requests list --source stripe --since 1h
      hookline requests list --json
    """
    from ledger import views  # noqa: PLC0415  # SQLAlchemy; see ledger_door

    check_window(since, until)
    with reading(os.environ) as db:
        found = views.list_requests(db, views.Filter(source=source, since=since, until=until, limit=limit))
    if as_json:
        print_json(found)
    else:
        print_table(found, COLUMNS, nothing="no rejected requests")
        note_cut(found, limit)
