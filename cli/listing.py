"""What the list commands have in common: the last 24 h unless asked, pages, and what is said beside them."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.errors import NotDone
from cli.known import check_handler, check_source
from cli.ledger_door import Look, open_look
from cli.moment import check_window
from cli.remote.api import Api, is_remote, open_api
from cli.show import Column, View, note, print_json, print_table

if TYPE_CHECKING:
    from ledger.question import Asked
    from ledger.views import Filter, Page, Position

PAGE = 500
# Rows in memory at a time, however many are shown. Each page is a look of its own: whoever reads slowly holds nothing.


def check_names(db: "Asked", wanted: "Filter") -> None:
    """Refuse a filter whose source or handler there cannot be.

    Raises:
        typer.BadParameter: names those that there are.

    """
    check_source(db, wanted.source)
    check_handler(db, wanted.handler)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed.

    Attributes:
        what: its name, as in "no events match".
        page: gives a page of it.
        find: says where in the list something is, by its id.
        columns: of the table.
        row: makes a row of the table from a view.
        check: refuses a filter that names what there cannot be.

    """

    what: str
    page: "Callable[[Asked, Filter], Page]"
    find: "Callable[[Asked, str], Position | None]"
    columns: Sequence[Column]
    row: Callable[[View], View] = lambda view: view
    check: "Callable[[Asked, Filter], None]" = check_names


def show_list(
    environ: Mapping[str, str],
    listing: Listing,
    wanted: "Filter",
    *,
    before: str | None,
    bounded: bool = True,
    as_json: bool,
) -> None:
    """Print the newest rows that match, and how to see more.

    Args:
        environ: says where the ledger is.
        listing: what is listed.
        wanted: which; its limit is set.
        before: the id that the page before this one ended with.
        bounded: without a `since`, show only the 24 h before the newest that there could be.
        as_json: print JSON objects.

    """
    from ledger.views import within_a_day  # noqa: PLC0415  # SQLAlchemy; see ledger_door

    check_window(wanted.since, wanted.until)
    if is_remote(environ):
        _show_remote(open_api(environ), listing, wanted, before=before, as_json=as_json)
        return
    with open_look(environ) as ledger:
        with ledger.read() as db:
            listing.check(db, wanted)
        if before is not None:
            wanted = replace(wanted, before=_find(ledger, listing, before))
        looked = within_a_day(wanted, now=time.time()) if bounded else wanted
        last, shown = None, 0
        for page in _pages(ledger, listing, looked):
            _print_page(listing, page.views, as_json=as_json, head=not shown)
            last, shown = page, shown + len(page.views)
        if last is not None and last.next is not None:
            note(f"there are more: --before {last.views[-1]['id']} shows the next ones, --limit more at once")
        elif looked.since != wanted.since and (not shown or sys.stdout.isatty()) and _goes_on(ledger, listing, wanted):
            these = f"these {listing.what} are" if shown else f"no {listing.what} match"
            note(f"{these} of the last 24 h; there are older ones: --since 7d or --since all shows them")
        elif not (shown or as_json):
            note(f"no {listing.what} match")


def _show_remote(api: Api, listing: Listing, wanted: "Filter", *, before: str | None, as_json: bool) -> None:
    """Print the same over the HTTP API, which bounds it in the same way."""
    from cli.remote.looking import pages  # noqa: PLC0415  # see above

    shown = 0
    with closing(api):
        for views, more in pages(api, listing.what.split()[-1], wanted, before):
            _print_page(listing, views, as_json=as_json, head=not shown)
            shown += len(views)
            if more and shown == wanted.limit:
                note(f"there are more: --before {views[-1]['id']} shows the next ones, --limit more at once")
    if not (shown or as_json):
        note(f"no {listing.what} match")


def _find(ledger: Look, listing: Listing, before: str) -> "Position":
    with ledger.read() as db:
        found = listing.find(db, before)
    if found is None:
        raise NotDone(f"--before: there is no {before} among the {listing.what}")
    return found


def _pages(ledger: Look, listing: Listing, wanted: "Filter") -> "Iterator[Page]":
    left = wanted.limit or 0
    while left:
        with ledger.read() as db:
            page = listing.page(db, replace(wanted, limit=min(left, PAGE)))
        yield page
        left -= len(page.views)
        if page.next is None:
            return
        wanted = replace(wanted, before=page.next)


def _print_page(listing: Listing, views: Sequence[View], *, as_json: bool, head: bool) -> None:
    if as_json:
        print_json(views)
    elif views:
        print_table([listing.row(view) for view in views], listing.columns, head=head)


def _goes_on(ledger: Look, listing: Listing, wanted: "Filter") -> bool:
    """Whether anything older would match."""
    from ledger.views import within_a_day  # noqa: PLC0415  # see above

    bound = within_a_day(wanted, now=time.time()).since
    with ledger.read() as db:
        return bool(listing.page(db, replace(wanted, since=0.0, until=bound, limit=1)).views)
