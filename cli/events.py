"""Look at events: what providers sent, and what became of it."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import NotDone
from cli.ledger_door import looking, open_ledger
from cli.listing import Listing, check_names, show_list
from cli.moment import parse_moment
from cli.options import (
    DEFAULT_LIMIT,
    Account,
    Before,
    ExternalId,
    Handler,
    Json,
    Limit,
    Since,
    Source,
    Type,
    Until,
)
from cli.remote.api import is_remote, open_api
from cli.show import Column, View, long_time, print_json, write_bytes
from ledger.event import EventState

if TYPE_CHECKING:
    from ledger.question import Asked
    from ledger.views import Position

# ruff: noqa: PLC0415  # what takes long, as SQLAlchemy, or not every command needs is imported by those who need it; see ledger_door

COLUMNS = (
    Column("id"),
    Column("received_at"),
    Column("source"),
    Column("type"),
    Column("state"),
    Column("external_id", extra=True),
    Column("handlers", elastic=True, wants=0, least=24),
)

events_app = typer.Typer(no_args_is_help=True)


@events_app.callback()
def _events() -> None:
    """Look at what providers sent, and what became of it.

    Examples:
      hookline events list --source stripe
      hookline events get evt_1Q
      hookline events tail
    """


@events_app.command("list")
def list_events(
    source: Source = None,
    type_: Type = None,
    state: Annotated[
        EventState | None, typer.Option(metavar="STATE", help=f"Only events in this state: {', '.join(EventState)}.")
    ] = None,
    handler: Handler = None,
    account: Account = None,
    external_id: ExternalId = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List events, newest first: those of the last 24 h, unless --since says otherwise.

    What needs somebody (dead, failed, pending, unparseable) is listed however old
    it is. An event's state is the worst of its deliveries and effects. Times are
    in UTC. The next page begins where --before says.

    Examples:
      hookline events list
      hookline events list --state dead
      hookline events list --source stripe --type 'charge.*' --since 7d
      hookline events list --external-id evt_1Q
      hookline events list --since all --before 4211
      hookline events list --since 7d --until 24h --limit 100000 --json > events.jsonl
    """
    from ledger import views
    from ledger.views.events import FEW

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
    listing = Listing("events", views.page_of_events, _position, COLUMNS, _with_handlers)
    bounded = state not in FEW and external_id is None
    show_list(os.environ, listing, wanted, before=before, bounded=bounded, as_json=as_json)


def _position(db: "Asked", address: str) -> "Position | None":
    from ledger import views

    event_id = views.find_event(db, address)
    return None if event_id is None else views.position_of_event(db, event_id)


@events_app.command("get")
def get_event(
    event: Annotated[
        str, typer.Argument(metavar="ID", help="An event's id, ours or the provider's, or how that begins.")
    ],
    full: Annotated[bool, typer.Option("--full", help="Show all of a long body.")] = False,
    as_json: Json = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write the exact bytes that were signed, nothing else.")] = False,
) -> None:
    """Show one event: where it stands, its deliveries with their attempts, its effects, headers and body.

    Who dismissed a delivery and why is shown, and which replay set it going.

    Examples:
      hookline events get 42
      hookline events get evt_1Q                  enough, if no other id begins so
      hookline events get evt_1Qabc --json
      hookline events get evt_1Qabc --raw > body.json
    """
    from ledger import views
    from ledger.addresses import find_event

    if raw and as_json:
        raise typer.BadParameter("--raw and --json exclude each other")
    view: View | None
    if is_remote(os.environ):
        from cli.remote.looking import get_event as get_remote_event

        view, body = get_remote_event(open_api(os.environ), event, with_body=raw or not as_json)
        if raw and body is None and not view["payload_pruned_at"]:
            raise NotDone("this needs a token with the scope payload")
    else:
        with looking(os.environ) as db:
            event_id = find_event(db, event)
            view, body = views.get_event(db, event_id), views.get_body(db, event_id)
    if view is None:  # it was pruned in this moment
        raise NotDone(f"there is no event {event}")
    if raw:
        if view["payload_pruned_at"]:
            raise NotDone(f"the payload of event {event} was pruned {long_time(view['payload_pruned_at'])}")
        write_bytes(body or b"")
    elif as_json:
        print_json([view])
    else:
        from cli.event_page import print_event

        print_event(view, body or b"", full=full)


@events_app.command("tail")
def tail_events(
    source: Source = None,
    type_: Type = None,
    handler: Handler = None,
    account: Account = None,
    since: Annotated[
        float | None,
        typer.Option(parser=parse_moment, metavar="WHEN", help="Begin with what came in since then: 10m, 24h."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show events as they come in, until Ctrl-C.

    When the ledger does not answer, it says so, waits, and shows what it missed.

    Examples:
      hookline events tail --source stripe
      hookline events tail --since 10m --type 'charge.*'
      hookline events tail --json | jq .type
    """
    from cli.tail import print_events, tail
    from ledger.views import Filter

    wanted = Filter(source=source, type=type_, handler=handler, account=account, since=since)
    if is_remote(os.environ):
        from cli.remote.looking import tail as tail_remote

        tail_remote(open_api(os.environ), wanted, print_json if as_json else print_events)
        return
    with open_ledger(os.environ) as ledger:
        with ledger.read() as db:
            check_names(db, wanted)
        tail(ledger, wanted, as_json=as_json)


def _with_handlers(view: View) -> View:
    return {**view, "handlers": ", ".join(delivery["handler"] for delivery in view["deliveries"])}
