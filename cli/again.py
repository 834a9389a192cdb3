"""Run things again: `retry` what failed or is dead; dismiss what does not matter."""

import getpass
import os
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import NotDone
from cli.ledger_door import writing
from cli.options import Json
from cli.show import print_json, write

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.again import Again

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

NAMED = 5
# So many ids are named in a message; of more, the number.


def retry(
    deliveries: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of deliveries; or providers' ids of events, for all of an event's."),
    ] = None,
    handler: Annotated[
        str | None, typer.Option(metavar="NAME", help="All dead deliveries of this handler, and its dead effects.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run failed or dead deliveries again now, and send their dead effects again.

    What is done, waiting or running is left alone. If one of the ids is unknown,
    nothing is retried.

    Examples:
      hookline deliveries list --state dead
      hookline retry 17 18
      hookline retry evt_1Qabc
      hookline retry --handler notifications.dispute
    """
    if bool(deliveries) == (handler is not None):
        raise typer.BadParameter("name deliveries by id, or a --handler for all of its dead ones")
    with writing(os.environ) as db:
        done = _retry_each(db, deliveries or []) if handler is None else _retry_dead_of(db, handler)
    _tell("retry", done, as_json=as_json)


def _retry_dead_of(db: "Connection", handler: str) -> "Again":
    from ledger import again, views

    known = views.known_handlers(db)
    if handler not in known:
        raise NotDone(f"no delivery was ever for the handler {handler!r}; there is {', '.join(known) or 'none yet'}")
    return again.retry_dead_of(db, handler, time.time())


def _retry_each(db: "Connection", addresses: Sequence[str]) -> "Again":
    from ledger import again, views

    ids = {event_id for address in addresses if (event_id := views.read_id(address)) is not None}
    missing = views.missing_deliveries(db, ids)
    if missing:
        raise NotDone(f"there is no delivery {_names(missing)}; nothing was retried")
    events = find_all(db, [address for address in addresses if views.read_id(address) is None], "retried")
    now = time.time()
    done = again.retry_deliveries(db, ids, now) + again.retry_events(db, events, now)
    if not done.deliveries and not done.effects:
        raise NotDone("nothing to retry: none of these is failed or dead, and neither is an effect of theirs")
    return done


def dismiss(
    deliveries: Annotated[
        list[str], typer.Argument(metavar="ID", help="Ids of deliveries; or providers' ids of events, for all of them.")
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it does not matter. It is kept.")],
    as_json: Json = False,
) -> None:
    """Say that deliveries do not matter any more: they count as done, and alerts about them end.

    Takes what is dead, failed or waits; a dead alert to Slack is never sent then.
    Who, when and why is kept. `hookline replay` runs them all the same. If one of
    the ids is unknown, nothing is dismissed.

    Examples:
      hookline deliveries list --state dead
      hookline dismiss 17 18 --reason 'test data of the old shop'
      hookline dismiss evt_1Qabc --reason 'refunded by hand'
    """
    from ledger import dismissals

    with writing(os.environ) as db:
        ids = _deliveries(db, deliveries, "dismissed")
        done = dismissals.dismiss(db, ids, who=whoever(), reason=reason, now=time.time())
        if not done:
            raise NotDone("nothing to dismiss: none of these is dead, failed or waits, and no effect of theirs is dead")
    if as_json:
        print_json([{"action": "dismiss", "deliveries": done, "reason": reason}])
    else:
        write(f"dismiss: {_count(done, 'delivery', 'deliveries')}\n")


def whoever() -> str:
    """Name the person at this shell, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def _deliveries(db: "Connection", addresses: Sequence[str], done: str) -> list[int]:
    from ledger import views

    ids = {number for address in addresses if (number := views.read_id(address)) is not None}
    missing = views.missing_deliveries(db, ids)
    if missing:
        raise NotDone(f"there is no delivery {_names(missing)}; nothing was {done}")
    events = find_all(db, [address for address in addresses if views.read_id(address) is None], done)
    return sorted(ids | views.delivery_ids_of(db, events))


def find_all(db: "Connection", addresses: Sequence[str], done: str) -> list[int]:
    """Find events by our ids or the providers'.

    Raises:
        NotDone: one of them is unknown. The text says that nothing was `done`.

    """
    from ledger import views

    found = {address: views.find_event(db, address) for address in addresses}
    missing = [address for address, event_id in found.items() if event_id is None]
    if missing:
        raise NotDone(f"there is no event {_names(missing)}; nothing was {done}")
    return [event_id for event_id in found.values() if event_id is not None]


def _names(missing: Sequence[object]) -> str:
    names = ", ".join(str(each) or "''" for each in missing[:NAMED])
    return names if len(missing) <= NAMED else f"{names} and {len(missing) - NAMED} more"


def _tell(action: str, done: "Again", *, as_json: bool) -> None:
    if as_json:
        print_json([{"action": action, "deliveries": done.deliveries, "effects": done.effects}])
        return
    what = [_count(done.deliveries, "delivery", "deliveries"), _count(done.effects, "effect", "effects")]
    write(f"{action}: {', '.join(what)}\n")


def _count(what: Collection[int] | int, one: str, many: str) -> str:
    number = what if isinstance(what, int) else len(what)
    return f"{number} {one if number == 1 else many}"
