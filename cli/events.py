"""Look at events, deliveries and rejected requests."""

import os
import sys
import time
from typing import Annotated

import typer
from rich.text import Text

from cli.errors import NotDone
from cli.ledger_door import open_ledger
from cli.moment import parse_moment
from cli.show import cell, make_console, print_json, print_table
from ledger import views
from ledger.event import DeliveryState, EventState
from ledger.store import Ledger
from ledger.views import Filter, View

TAIL_INTERVAL_S = 0.5
TAIL_PAGE = 200

EVENT_COLUMNS = ("id", "received_at", "source", "type", "state", "external_id", "handlers")
DELIVERY_COLUMNS = ("id", "event", "handler", "state", "attempts", "due_at", "type", "last_error")
REQUEST_COLUMNS = ("id", "received_at", "source", "status", "reason", "body_size", "path")

events_app = typer.Typer(no_args_is_help=True, help="Look at what providers sent.")
deliveries_app = typer.Typer(no_args_is_help=True, help="Look at what handlers make of it.")
requests_app = typer.Typer(no_args_is_help=True, help="Look at requests that were rejected, and why.")

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Source = Annotated[str | None, typer.Option(help="stripe, github or slack.")]
Type = Annotated[str | None, typer.Option(help="As the provider spells it; * for anything: 'invoice.*'.")]
Since = Annotated[float | None, typer.Option(parser=parse_moment, metavar="WHEN", help="24h, 7d, 2026-11-01.")]
Until = Annotated[float | None, typer.Option(parser=parse_moment, metavar="WHEN", help="24h, 7d, 2026-11-01.")]
Limit = Annotated[int, typer.Option(min=1, help="The most rows to show.")]
Address = Annotated[str, typer.Argument(help="An event's id, or the provider's own id of it.")]


@events_app.command("list")
def list_events(
    source: Source = None,
    type_: Annotated[str | None, typer.Option("--type", help="As the provider spells it; * for anything.")] = None,
    state: Annotated[EventState | None, typer.Option(help="The worst of its deliveries and effects.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List events, newest first.

    Example: `hookline events list --source stripe --type 'charge.*' --state dead --since 24h`
    """
    wanted = Filter(source=source, type=type_, state=state, since=since, until=until, limit=limit)
    with open_ledger(os.environ).read() as db:
        found = views.list_events(db, wanted)
    if as_json:
        print_json(found)
    else:
        print_table([_with_handlers(view) for view in found], EVENT_COLUMNS, nothing="no events match")


@events_app.command("get")
def get_event(
    event: Address,
    as_json: Json = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write the exact bytes that were signed.")] = False,
) -> None:
    """Show one event: where it stands, its deliveries with their attempts, its effects, its headers.

    Example: `hookline events get evt_1Qabc --raw > body.json`
    """
    with open_ledger(os.environ).read() as db:
        event_id = views.find_event(db, event)
        view = views.get_event(db, event_id) if event_id is not None else None
        body = views.get_body(db, event_id) if raw and event_id is not None else None
    if view is None:
        raise NotDone(f"there is no event {event}")
    if raw:
        sys.stdout.buffer.write(body or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        print_json([view])
    else:
        _print_event(view)


@events_app.command("tail")
def tail_events(source: Source = None, type_: Type = None, as_json: Json = False) -> None:
    """Show events as they come in, until Ctrl-C."""
    ledger = open_ledger(os.environ)
    with ledger.read() as db:
        after_id = views.last_event_id(db)
    try:
        while True:
            after_id = _show_new(ledger, after_id, source=source, type_=type_, as_json=as_json)
            time.sleep(TAIL_INTERVAL_S)
    except KeyboardInterrupt:
        return


def _show_new(ledger: Ledger, after_id: int, *, source: str | None, type_: str | None, as_json: bool) -> int:
    wanted = Filter(source=source, type=type_, after_id=after_id, limit=TAIL_PAGE)
    with ledger.read() as db:
        new = views.list_events(db, wanted, newest_first=False)
    if as_json:
        print_json(new)
    for view in [] if as_json else new:
        print(f"{view['received_at']}  {view['id']:>6}  {view['source']:<7} {view['type']:<36} {view['external_id']}")
    sys.stdout.flush()
    return new[-1]["id"] if new else after_id


@deliveries_app.command("list")
def list_deliveries(
    source: Source = None,
    type_: Annotated[str | None, typer.Option("--type", help="The event's type; * for anything.")] = None,
    state: Annotated[DeliveryState | None, typer.Option()] = None,
    handler: Annotated[str | None, typer.Option(help="For example notifications.dispute.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first.

    Example: `hookline deliveries list --state dead --handler payments.keep_payment`
    """
    wanted = Filter(source=source, type=type_, state=state, handler=handler, since=since, until=until, limit=limit)
    with open_ledger(os.environ).read() as db:
        found = views.list_deliveries(db, wanted)
    if as_json:
        print_json(found)
    else:
        print_table(found, DELIVERY_COLUMNS, nothing="no deliveries match")


@requests_app.command("list")
def list_requests(
    source: Source = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List rejected requests, newest first, with the reason that their senders were not told."""
    with open_ledger(os.environ).read() as db:
        found = views.list_requests(db, Filter(source=source, since=since, until=until, limit=limit))
    if as_json:
        print_json(found)
    else:
        print_table(found, REQUEST_COLUMNS, nothing="no rejected requests")


def _with_handlers(view: View) -> View:
    return view | {"handlers": ", ".join(delivery["handler"] for delivery in view["deliveries"])}


def _print_event(view: View) -> None:
    console = make_console()
    for field in (
        "id",
        "source",
        "external_id",
        "type",
        "state",
        "received_at",
        "account",
        "livemode",
        "flaw",
        "body_size",
        "body_sha256",
        "secret_position",
    ):
        if view[field] is not None:
            console.print(Text(f"{field.replace('_', ' '):<16}", style="bold"), cell(field, view[field]))
    for delivery in view["deliveries"]:
        console.print(Text(f"\ndelivery {delivery['id']}  {delivery['handler']}  "), cell("state", delivery["state"]))
        if delivery["state"] in ("failed", "pending"):
            console.print(f"  due {delivery['due_at']}")
        for attempt in delivery["history"]:
            console.print(
                f"  attempt {attempt['number']} ({attempt['trigger']})  {attempt['finished_at']}  ",
                cell("outcome", attempt["outcome"]),
                f" {attempt['error'] or ''}",
            )
    for effect in view["effects"]:
        console.print(Text(f"\neffect {effect['id']}  {effect['channel']}  "), cell("state", effect["state"]))
        console.print(f"  {effect['text']}\n  key {effect['key']}")
        if effect["last_error"]:
            console.print(f"  {effect['last_error']}")
    console.print("\nheaders", style="bold")
    for name, value in view["headers"].items():
        console.print(f"  {name}: {value}")
