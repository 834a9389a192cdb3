"""Look at deliveries: what handlers make of the events."""

import os
from typing import Annotated

import typer

from cli.ledger_door import reading
from cli.moment import check_window
from cli.options import DEFAULT_LIMIT, Json, Limit, Since, Source, Type, Until
from cli.show import Column, View, note_cut, print_json, print_table
from ledger.event import DeliveryState

COLUMNS = (
    Column("id"),
    Column("event"),
    Column("handler"),
    Column("state"),
    Column("attempts"),
    Column("due_at", extra=True),
    Column("type", extra=True),
    Column("last_error", elastic=True),
)

OVER = (DeliveryState.DONE, DeliveryState.DEAD, DeliveryState.DISMISSED)

deliveries_app = typer.Typer(no_args_is_help=True, help="Look at what handlers make of the events.")


@deliveries_app.callback()
def _deliveries() -> None:
    """Look at what handlers make of the events."""  # with a callback, `list` stays a command of its own


@deliveries_app.command("list")
def list_deliveries(
    source: Source = None,
    type_: Type = None,
    state: Annotated[
        DeliveryState | None, typer.Option(metavar="STATE", help=f"Only in this state: {', '.join(DeliveryState)}.")
    ] = None,
    handler: Annotated[str | None, typer.Option(metavar="NAME", help="Only this handler's.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first: one line for each event and handler.

    Examples:
      hookline deliveries list --state dead
      hookline deliveries list --handler notifications.dispute --since 24h
    """
    from ledger import views  # noqa: PLC0415  # SQLAlchemy; see ledger_door

    check_window(since, until)
    wanted = views.Filter(
        source=source, type=type_, state=state, handler=handler, since=since, until=until, limit=limit
    )
    with reading(os.environ) as db:
        found = views.list_deliveries(db, wanted)
    if as_json:
        print_json(found)
    else:
        print_table([_without_past(view) for view in found], COLUMNS, nothing="no deliveries match")
        note_cut(found, limit)


def _without_past(view: View) -> View:
    """Leave out when it was due, where that is over."""
    return {**view, "due_at": None} if view["state"] in OVER else view
