"""Run things again: `retry` what failed or is dead; dismiss what does not matter."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import NotDone
from cli.hands import Hands, open_hands
from cli.moment import check_window
from cli.options import Json, Since, Source, Type, Until
from cli.preview import ask, count, show
from cli.show import note, print_json, write
from ledger.event import DeliveryState

if TYPE_CHECKING:
    from ledger.again import Again
    from ledger.views import Filter

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

BATCH = 500
# Deliveries a transaction: other writers get their turn in between.

RETRIABLE = (DeliveryState.FAILED, DeliveryState.DEAD)
DISMISSABLE = (*RETRIABLE, DeliveryState.PENDING, DeliveryState.QUEUED)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids of deliveries; or providers' ids of events, for all of an event's."),
]
HandlerName = Annotated[str | None, typer.Option(metavar="NAME", help="Only this handler's.")]
AtMost = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="At most so many deliveries, those of the oldest events first.")
]
All = Annotated[bool, typer.Option("--all", help="All that are dead, or in --state, whatever and whenever it was.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it means.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def retry(
    deliveries: Names = None,
    source: Source = None,
    type_: Type = None,
    handler: HandlerName = None,
    state: Annotated[
        DeliveryState | None, typer.Option(metavar="STATE", help="What a filter takes: dead (if not said), or failed.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: AtMost = None,
    all_: All = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why. The audit log keeps it.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run failed or dead deliveries again now, and send their dead effects again.

    By id, at once; or by a filter, after a preview of how many, whose and how much
    money that is, and a question (--yes in scripts). A filter takes what is dead,
    with dead effects, unless --state says otherwise. What is done, waiting or
    running is left alone. If one of the ids is unknown, nothing is retried.

    Examples:
      hookline deliveries list --state dead
      hookline retry 17 18
      hookline retry evt_1Qabc
      hookline retry --handler notifications.dispute
      hookline retry --source stripe --type 'charge.*' --since 24h --dry-run
      hookline retry --all --yes --reason 'mended in 1.2.3'
    """
    wanted = _filter(RETRIABLE, source, type_, handler, state, since, until, limit, all_=all_, named=bool(deliveries))
    with open_hands(os.environ) as hands:
        if wanted is None:
            _tell_retry([_retry_named(hands, deliveries or [], reason)], as_json=as_json)
            return
        found, ids = hands.select(wanted)
        if dry_run:
            show("retry", found, as_json=as_json)
            return
        if ids:
            ask(found, done="retried", as_json=as_json, yes=yes)
        states = [str(wanted.state)]
        _tell_retry([hands.retry(some, reason=reason, states=states) for some in _batches(ids)], as_json=as_json)
        if not ids and not as_json:
            _tell_left_alone(hands, wanted)


def _tell_left_alone(hands: Hands, wanted: "Filter") -> None:
    """Say what would have been taken in the other state that can be retried, and how to take it."""
    other = next(state for state in RETRIABLE if state != wanted.state)
    _, ids = hands.select(replace(wanted, state=other))
    if ids:
        waits = ", which is tried again by itself" if other == DeliveryState.FAILED else ""
        note(f"left alone: {count(len(ids), 'delivery')} in the state {other}{waits}; --state {other} takes it now")


def _retry_named(hands: Hands, names: Sequence[str], reason: str | None) -> "Again":
    done = hands.retry(names, reason=reason)
    if not done.deliveries and not done.effects:
        raise NotDone("nothing to retry: none of these is failed or dead, and neither is an effect of theirs")
    return done


def dismiss(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it does not matter. It is kept.")],
    deliveries: Names = None,
    source: Source = None,
    type_: Type = None,
    handler: HandlerName = None,
    state: Annotated[
        DeliveryState | None,
        typer.Option(metavar="STATE", help="What a filter takes: dead (if not said), failed, pending or queued."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: AtMost = None,
    all_: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Say that deliveries do not matter any more: they count as done, and alerts about them end.

    By id, at once: takes what is dead, failed or waits; a dead alert to Slack is
    never sent then. Or by a filter, after a preview and a question (--yes in
    scripts): takes what is dead, unless --state says otherwise. Who, when and why
    is kept. `hookline replay` runs them all the same. If one of the ids is
    unknown, nothing is dismissed.

    Examples:
      hookline deliveries list --state dead
      hookline dismiss 17 18 --reason 'test data of the old shop'
      hookline dismiss evt_1Qabc --reason 'refunded by hand'
      hookline dismiss --type 'payout.*' --until 7d --reason 'paid out by hand' --dry-run
    """
    wanted = _filter(DISMISSABLE, source, type_, handler, state, since, until, limit, all_=all_, named=bool(deliveries))
    with open_hands(os.environ) as hands:
        if wanted is None:
            _tell_dismiss(_dismiss_named(hands, deliveries or [], reason), reason, as_json=as_json)
            return
        found, ids = hands.select(wanted)
        if dry_run:
            show("dismiss", found, as_json=as_json)
            return
        if ids:
            ask(found, done="dismissed", as_json=as_json, yes=yes)
        states = [str(wanted.state)]
        done = [each for some in _batches(ids) for each in hands.dismiss(some, reason=reason, states=states)]
        _tell_dismiss(done, reason, as_json=as_json)


def _dismiss_named(hands: Hands, names: Sequence[str], reason: str) -> list[int]:
    done = hands.dismiss(names, reason=reason)
    if not done:
        raise NotDone("nothing to dismiss: none of these is dead, failed or waits, and no effect of theirs is dead")
    return done


def _filter(
    states: Sequence[DeliveryState],
    source: str | None,
    type_: str | None,
    handler: str | None,
    state: DeliveryState | None,
    since: float | None,
    until: float | None,
    limit: int | None,
    *,
    all_: bool,
    named: bool,
) -> "Filter | None":
    """Make the filter; None where each delivery is named.

    Raises:
        typer.BadParameter: it is both or neither, or asks for a state that makes no sense here.

    """
    from ledger.views import Filter

    by_filter = all_ or any(each is not None for each in (source, type_, handler, state, since, until, limit))
    if named == by_filter:
        raise typer.BadParameter("name deliveries by id, or a filter such as --handler, --source, --since, or --all")
    if state is not None and state not in states:
        raise typer.BadParameter(f"--state must be one of {', '.join(states)}")
    check_window(since, until)
    state = state or DeliveryState.DEAD
    wanted = Filter(source=source, type=type_, state=state, handler=handler, since=since, until=until, limit=limit)
    return wanted if by_filter else None


def _batches(ids: Sequence[int]) -> Iterator[list[str]]:
    """Split ids into what one transaction takes, showing how far it is. After Ctrl-C, run it again for the rest."""
    for start in range(0, len(ids), BATCH):
        yield [str(each) for each in ids[start : start + BATCH]]
        if sys.stderr.isatty() and len(ids) > BATCH:
            done = min(start + BATCH, len(ids))
            print(f"\r{done:,} of {len(ids):,}", end="\n" if done == len(ids) else "", file=sys.stderr, flush=True)


def _tell_retry(done: Sequence["Again"], *, as_json: bool) -> None:
    deliveries = sorted({each for some in done for each in some.deliveries})
    effects = sorted({each for some in done for each in some.effects})
    if as_json:
        print_json([{"action": "retry", "deliveries": deliveries, "effects": effects}])
    else:
        write(f"retry: {count(len(deliveries), 'delivery')}, {count(len(effects), 'effect')}\n")


def _tell_dismiss(done: Sequence[int], reason: str, *, as_json: bool) -> None:
    if as_json:
        print_json([{"action": "dismiss", "deliveries": sorted(done), "reason": reason}])
    else:
        write(f"dismiss: {count(len(done), 'delivery')}\n")
