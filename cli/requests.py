"""Look at requests that were rejected."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli.known import check_reason, check_source
from cli.listing import Listing, show_list
from cli.options import DEFAULT_LIMIT, Before, Json, Limit, Since, Source, Until
from cli.show import Column

if TYPE_CHECKING:
    from ledger.question import Asked
    from ledger.views import Filter, Position

COLUMNS = (
    Column("id"),
    Column("received_at"),
    Column("source"),
    Column("status"),
    Column("reason"),
    Column("body_size", extra=True),
    Column("path", elastic=True),
)

requests_app = typer.Typer(no_args_is_help=True)


@requests_app.callback()
def _requests() -> None:
    """Look at requests that were rejected, and why.

    Examples:
      hookline requests list --rejected
    """  # with a callback, `list` stays a command of its own


@requests_app.command("list")
def list_requests(
    source: Source = None,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only those rejected for this, such as signature_mismatch.")
    ] = None,
    _rejected: Annotated[
        bool, typer.Option("--rejected", help="Only rejected ones: all that are kept. What is accepted is an event.")
    ] = True,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List rejected requests, newest first, with the reason that their senders were not told.

    Those of the last 24 h, unless --since says otherwise. The newest 10,000 are
    kept, without their bodies.

    Examples:
      hookline requests list --rejected
      hookline requests list --source stripe --reason signature_mismatch --since 7d
      hookline requests list --json
      hookline verify --request 17          why its signature failed
    """
    from ledger import views  # noqa: PLC0415  # SQLAlchemy; see ledger_door

    wanted = views.Filter(source=source, state=reason, since=since, until=until, limit=limit)
    listing = Listing("rejected requests", views.page_of_requests, _position, COLUMNS, check=_check)
    show_list(os.environ, listing, wanted, before=before, as_json=as_json)


def _check(db: "Asked", wanted: "Filter") -> None:
    check_source(db, wanted.source)
    check_reason(db, wanted.state)


def _position(db: "Asked", address: str) -> "Position | None":
    from ledger import views  # noqa: PLC0415  # see above

    request_id = views.read_id(address)
    return None if request_id is None else views.position_of_request(db, request_id)
