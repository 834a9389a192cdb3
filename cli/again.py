"""Run things again: `retry` what failed or is dead, `replay` what is over."""

import os
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy import Connection

from cli.errors import NotDone
from cli.ledger_door import open_ledger
from cli.show import print_json
from ledger import again, views
from ledger.again import Again


def retry(
    deliveries: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Delivery ids; or providers' ids of events, for all of an event's."),
    ] = None,
    handler: Annotated[str | None, typer.Option(help="All dead deliveries of this handler.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run failed or dead deliveries again now, and send their dead effects again.

    Examples: `hookline retry 17 18`, `hookline retry evt_1Qabc`, `hookline retry --handler notifications.dispute`
    """
    if bool(deliveries) == bool(handler):
        raise typer.BadParameter("name deliveries by id, or a --handler for all of its dead ones")
    with open_ledger(os.environ).write() as db:
        done = again.retry_dead_of(db, handler, time.time()) if handler else _retry_each(db, deliveries or [])
    if not done.deliveries and not done.effects:
        raise NotDone("nothing to retry: none of these is failed or dead")
    _tell("retry", done, as_json=as_json)


def _retry_each(db: Connection, addresses: Sequence[str]) -> Again:
    now = time.time()
    ids = [int(address) for address in addresses if address.isascii() and address.isdigit()]
    missing = views.missing_deliveries(db, ids)
    if missing:
        raise NotDone(f"there is no delivery {', '.join(map(str, missing))}")
    events = _find_all(db, [address for address in addresses if not (address.isascii() and address.isdigit())])
    by_id, by_event = again.retry_deliveries(db, ids, now), again.retry_events(db, events, now)
    return Again(by_id.deliveries + by_event.deliveries, by_id.effects + by_event.effects)


def replay(
    events: Annotated[list[str], typer.Argument(metavar="ID...", help="Events, by our id or the provider's.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run the handlers of stored events again. Effects that are recorded already are not repeated.

    Example: `hookline replay evt_1Qabc 42`
    """
    with open_ledger(os.environ).write() as db:
        ids = _find_all(db, events)
        done = again.replay_events(db, ids, time.time())
        waiting = again.waiting_deliveries(db, ids) - len(done.deliveries)
    if not done.deliveries:
        raise NotDone(
            f"nothing to replay: {waiting} deliveries wait already" if waiting else "no handler wants these events"
        )
    _tell("replay", done, as_json=as_json)


def _find_all(db: Connection, addresses: Sequence[str]) -> list[int]:
    found = {address: views.find_event(db, address) for address in addresses}
    missing = [address for address, event_id in found.items() if event_id is None]
    if missing:
        raise NotDone(f"there is no event {', '.join(missing)}")
    return [event_id for event_id in found.values() if event_id is not None]


def _tell(action: str, done: Again, *, as_json: bool) -> None:
    if as_json:
        print_json([{"action": action, "deliveries": done.deliveries, "effects": done.effects}])
        return
    print(f"{action}: {_count(done.deliveries, 'delivery', 'deliveries')}, {_count(done.effects, 'effect', 'effects')}")


def _count(ids: Sequence[int], one: str, many: str) -> str:
    return f"{len(ids)} {one if len(ids) == 1 else many}"
