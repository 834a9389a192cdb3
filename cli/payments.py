"""Look at the book: payments and all that belongs to them, as Stripe's events tell of them."""

import os
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import NotDone
from cli.ledger_door import looking, reading
from cli.moment import check_window, parse_moment
from cli.options import DEFAULT_LIMIT, WHEN, Json
from cli.payments_page import print_object, print_summary
from cli.remote.api import ask, is_remote, open_api, place
from cli.show import Column, View, note, print_json, print_lines, print_table
from ledger.schedule import DAY_S

if TYPE_CHECKING:
    from handlers.payments.views import Wanted

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

COLUMNS = (
    Column("reached_at"),
    Column("id"),
    Column("kind", extra=True),
    Column("state", elastic=True),
    Column("amount"),
    Column("reason", extra=True),
    Column("customer", extra=True),
    Column("account", extra=True),
)


OWN = "own"

MAX_LIMIT = 10_000
# A list is read into memory whole, and sorted: it is of four tables.


class Mode(StrEnum):
    """Real money, or Stripe's test mode."""

    LIVE = "live"
    TEST = "test"


ItsMode = Annotated[Mode | None, typer.Option("--mode", metavar="MODE", help="Only real money (live), or only test.")]
Happened = Annotated[
    float | None, typer.Option(parser=parse_moment, metavar="WHEN", help=f"Only what came about since then: {WHEN}.")
]
HappenedBefore = Annotated[
    float | None, typer.Option(parser=parse_moment, metavar="WHEN", help="Only what came about before then.")
]

payments_app = typer.Typer(no_args_is_help=True, help="Look at the book: payments, refunds, disputes, payouts.")


@payments_app.command("list")
def list_payments(
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only this kind: payment, refund, dispute, charge, invoice, payout, …"),
    ] = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="Only in this state, as Stripe calls it.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's (cus_…).")] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Only in this currency: usd, eur, jpy.")] = None,
    mode: ItsMode = None,
    since: Happened = None,
    until: HappenedBefore = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MAX_LIMIT, metavar="N", help=f"The most rows to show, up to {MAX_LIMIT:,}.")
    ] = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List what the book keeps, the latest first: one line an object, as it stands now.

    Times are Stripe's: when the object came to its state. Amounts in JSON are
    integers in the currency's smallest unit.

    Examples:
      hookline payments list --kind payment --state requires_payment_method
      hookline payments list --kind dispute --since 7d
      hookline payments list --customer cus_Qabc --currency eur --json
    """
    from handlers.payments import views
    from handlers.payments.names import KIND_NAMES

    if kind is not None and kind not in KIND_NAMES:
        raise typer.BadParameter(f"there is no kind {kind!r}; there is {', '.join(KIND_NAMES)}")
    check_window(since, until)
    wanted = views.Wanted(
        kind=kind,
        state=state,
        customer=customer,
        currency=currency.lower() if currency else None,
        livemode=_livemode(mode),
        since=since,
        until=until,
    )
    found, more = _list(wanted, limit)
    if as_json:
        print_json(found)
    else:
        print_table([_for_people(view) for view in found], COLUMNS, nothing="nothing in the book matches")
    if more:
        note("there are more: --limit shows more at once, --since and --until other times")


@payments_app.command("get")
def get_payment(
    object_id: Annotated[str, typer.Argument(metavar="ID", help="An object's id at Stripe, or how it begins.")],
    as_json: Json = False,
) -> None:
    """Show one object: where it stands, what belongs to it, and which event changed what.

    It may be of any kind: a payment, charge, refund, dispute, invoice, payout, …

    Examples:
      hookline payments get pi_3Qabc
      hookline payments get du_1Qabc --json | jq '.history[].changes'
    """
    view = _get(object_id)
    if view is None:
        raise NotDone(f"the book has nothing called {object_id or repr(object_id)}")
    if as_json:
        print_json([view])
    else:
        print_object(view)


@payments_app.command("summary")
def summary(
    since: Annotated[
        float | None, typer.Option(parser=parse_moment, metavar="WHEN", help=f"From when on: {WHEN}. Unset: 24h.")
    ] = None,
    until: HappenedBefore = None,
    mode: ItsMode = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ID", help=f"Only this connected account's (acct_…), or only our {OWN}."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sum up what became of money: taken, failed, refunded, disputed, paid out, by currency.

    An object counts once, as it stands now: a payment that failed and was taken
    later is taken. Real money and test money are never added up, nor is what two
    accounts have: connected accounts are summed up each for itself. Fees and net are
    those of settlements that Stripe told of. The last 24 h, unless --since says
    otherwise: `/hookline payments today` in Slack counts from 0:00 on instead.

    Examples:
      hookline payments summary
      hookline payments summary --since 7d --mode live
      hookline payments summary --account own
      hookline payments summary --since 2026-11-01 --until 2026-12-01 --json
    """
    now = time.time()
    begin, end = now - DAY_S if since is None else since, now if until is None else until
    check_window(begin, end)
    found = _summarise(begin, end, mode, account)
    if as_json:
        print_json(found)
        return
    told = [each for each in found if each["by_state"] or each["by_currency"]]
    several = len({each.get("account") for each in told}) > 1  # a service of an older version adds them all up
    for number, each in enumerate(told):
        if number:
            print_lines([[]])
        print_summary(each, named=several)
    if not told:
        note("nothing came about in this time")


def _livemode(mode: Mode | None) -> bool | None:
    return None if mode is None else mode == Mode.LIVE


def _for_people(view: View) -> View:
    from handlers.payments.money import display

    known = view["amount"] is not None and view["currency"] is not None
    amount = display(view["amount"], view["currency"]) if known else ""
    return {**view, "amount": amount if view["livemode"] else f"{amount} test".strip()}


def _list(wanted: "Wanted", limit: int) -> tuple[Sequence[View], bool]:
    """Give what matches, as much as is shown, and whether there is more."""
    from handlers.payments import views

    if is_remote(os.environ):
        from cli.remote.looking import list_objects

        return list_objects(open_api(os.environ), wanted, limit=limit)
    with looking(os.environ) as db:
        found, following = views.page_of_objects(db, wanted, limit=limit)
    return found, following is not None


def _get(object_id: str) -> View | None:
    from handlers.payments import views

    if is_remote(os.environ):
        return ask(os.environ, f"/payments/{place(object_id)}") if object_id else None
    with looking(os.environ) as db:
        try:
            address = views.find_object(db, object_id)
        except views.SeveralObjects as error:
            raise NotDone(str(error)) from None
        return None if address is None else views.get_object(db, address)


def _summarise(since: float, until: float, mode: Mode | None, account: str | None) -> list[View]:
    """Sum up each mode and account that is asked for."""
    from handlers.payments.summary import summaries, summary_view

    if is_remote(os.environ):
        from cli.remote.hands import moment

        asked = {"since": moment(since), "until": moment(until), "mode": mode, "account": account}
        answered: list[View] = ask(os.environ, "/payments/summary", **asked)["summaries"]
        return answered
    modes = [True, False] if mode is None else [mode == Mode.LIVE]
    whose = "" if account == OWN else account
    with reading(os.environ) as db:
        return [
            summary_view(each)
            for livemode in modes
            for each in summaries(db, since=since, until=until, livemode=livemode, account=whose)
        ]
