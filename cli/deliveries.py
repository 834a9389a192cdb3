"""Look at deliveries: what handlers make of the events."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli.listing import Listing, show_list
from cli.options import DEFAULT_LIMIT, Account, Before, ExternalId, Json, Limit, Since, Source, Type, Until
from cli.show import Column, View
from ledger.event import DeliveryState

if TYPE_CHECKING:
    from ledger.question import Asked
    from ledger.views import Position

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

deliveries_app = typer.Typer(no_args_is_help=True)


@deliveries_app.callback()
def _deliveries() -> None:
    """Look at what handlers make of the events.

    Examples:
      hookline deliveries list --state dead
    """  # with a callback, `list` stays a command of its own


@deliveries_app.command("list")
def list_deliveries(
    source: Source = None,
    type_: Type = None,
    state: Annotated[
        DeliveryState | None, typer.Option(metavar="STATE", help=f"Only in this state: {', '.join(DeliveryState)}.")
    ] = None,
    handler: Annotated[str | None, typer.Option(metavar="NAME", help="Only this handler's.")] = None,
    account: Account = None,
    external_id: ExternalId = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List deliveries, newest events first: one line for each event and handler.

    Those of the last 24 h, unless --since says otherwise; what is not over (dead,
    failed, pending, queued, running) is listed however old it is.

    Examples:
      hookline deliveries list --state dead
      hookline deliveries list --handler notifications.dispute --since 7d
      hookline deliveries list --since all --before 17
    """
    from ledger import views  # noqa: PLC0415  # SQLAlchemy; see ledger_door

    wanted = views.Filter(
        source=source,
        type=type_,
        state=state,
        handler=handler,
        account=account,
        external_id=external_id,
        since=since,
        until=until,
        limit=limit,
    )
    listing = Listing("deliveries", views.page_of_deliveries, _position, COLUMNS, _without_past)
    bounded = state in (None, DeliveryState.DONE, DeliveryState.DISMISSED) and external_id is None
    show_list(os.environ, listing, wanted, before=before, bounded=bounded, as_json=as_json)


def _position(db: "Asked", address: str) -> "Position | None":
    from ledger import views  # noqa: PLC0415  # see above

    delivery_id = views.read_id(address)
    return None if delivery_id is None else views.position_of_delivery(db, delivery_id)


def _without_past(view: View) -> View:
    """Leave out when it was due, where that is over."""
    return {**view, "due_at": None} if view["state"] in OVER else view
