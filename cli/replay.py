"""`hookline replay`: show what it would do and to how much money, ask, write it down, and do it step by step."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import Disconnected, Gone, NotDone
from cli.forward.command import AllowRemote, Sending, aim, send_all
from cli.hands import Hands, View, open_hands
from cli.moment import check_window
from cli.options import Json, Since, Source, Type, Until
from cli.pace import parse_rate
from cli.preview import ask, count, show
from cli.show import clean, print_json, write
from ledger.errors import LedgerUnavailable
from ledger.event import DeliveryState
from ledger.schedule import DAY_S

if TYPE_CHECKING:
    from handlers.choice import Choice

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

BATCH = 500
# Deliveries a transaction: other writers get their turn in between.

STEPS_A_SECOND = 4
BAR_CHARS = 30


def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of events, ours or the provider's.")
    ] = None,
    from_: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="Ids from a file, one a line.")] = None,
    source: Source = None,
    type_: Type = None,
    state: Annotated[
        DeliveryState | None,
        typer.Option(metavar="STATE", help="Only deliveries in this state: done, failed, dead, dismissed."),
    ] = None,
    handler: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this handler; it gets a delivery for events older than itself."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many events, oldest first.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Do effects again that are recorded already.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why. It is kept.")] = None,
    rate: Annotated[float | None, typer.Option(parser=parse_rate, metavar="N/s", help="Deliveries a second.")] = None,
    resume: Annotated[int | None, typer.Option(metavar="ID", help="Go on with a replay that was interrupted.")] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Run nothing here: send the events to a server on this machine, signed anew."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="With --to: what the server there verifies with.")
    ] = None,
    allow_remote: AllowRemote = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    run: Annotated[
        bool,
        typer.Option("--run", help="With --dry-run: run the handlers, show what they would do, and take it all back."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Run the handlers of stored events again, oldest first. Or send the events to your own machine.

    First it shows what would run and how much money that is about, and asks. Where
    nobody can be asked, as in a script, it does nothing without --yes. A filter
    reaches back 24 h unless --since says otherwise. Effects that are recorded
    already are not repeated, but for --again. Deliveries that wait or run are left
    alone, and so are events whose payload was pruned. Ctrl-C stops it; --resume
    goes on, and nothing runs twice. If one of the ids is unknown, nothing is
    replayed.

    With --to, nothing changes here: the original bytes are sent, with the
    provider's headers and a new signature of your --secret, so that they verify.
    Not to another machine unless --allow-remote; no redirects are followed. Exits
    1 if an answer is not a 2xx.

    Examples:
      hookline replay evt_1Qabc
      hookline replay --source stripe --type 'invoice.*' --state dead --since 24h --until 1h --limit 100
      hookline replay --handler notifications.refund --since 7d --dry-run
      hookline replay --handler notifications.refund --since 7d --dry-run --run
      hookline replay --from ids.txt --yes --rate 50/s --reason 'the book was wrong'
      hookline replay --resume 7
      hookline replay --type 'charge.*' --to http://localhost:3000/webhooks/stripe --secret whsec_...
    """
    by_filter = any(each is not None for each in (source, type_, state, handler, since, until, limit))
    chooses = bool(ids or from_ or by_filter)
    _check(chooses=chooses, again=again, reason=reason, resume=resume, to=to, secret=secret, dry_run=dry_run, run=run)
    check_window(since, until)
    names = _names(ids, from_)
    if names is None and since is None:
        since = (time.time() if until is None else until) - DAY_S
    asking = Asking(yes=yes, dry_run=dry_run, as_json=as_json)
    with open_hands(os.environ) as hands:
        if resume is not None:
            _advance(hands, resume, rate, as_json=as_json)
            return
        from handlers.choice import Choice
        from ledger.views import Filter

        wanted = Filter(source=source, type=type_, state=state, handler=handler, since=since, until=until, limit=limit)
        choice = Choice(wanted=wanted, names=names)
        if to is not None:
            sending = Sending(to=to, secret=secret or "", allow_remote=allow_remote, rate=rate, trigger="replay")
            _send(hands, choice, sending, asking)
        elif run:
            _rehearse(hands, choice, again=again, as_json=as_json)
        else:
            _replay(hands, choice, asking, again=again, reason=reason, rate=rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How it is decided whether to go on after the preview."""

    yes: bool
    dry_run: bool
    as_json: bool


def _check(
    *,
    chooses: bool,
    again: bool,
    reason: str | None,
    resume: int | None,
    to: str | None,
    secret: str | None,
    dry_run: bool,
    run: bool,
) -> None:
    """Refuse what makes no sense together.

    Raises:
        typer.BadParameter: says what.

    """
    if resume is None and not chooses:
        raise typer.BadParameter("name events by id, --from a file, or by a filter such as --source and --since")
    if resume is not None and (chooses or again or dry_run or to):
        raise typer.BadParameter("--resume goes on with what was chosen: it takes no ids, no filter and no --to")
    if (to is None) != (secret is None):
        raise typer.BadParameter("--to and --secret belong together: where to, and what the server there verifies with")
    if to is not None and (again or run or reason):
        raise typer.BadParameter("--to runs nothing here: it takes no --again, no --run and no --reason")
    if run and not dry_run:
        raise typer.BadParameter("--run goes with --dry-run: it runs the handlers and takes back what they did")


def _names(ids: list[str] | None, path: Path | None) -> tuple[str, ...] | None:
    if path is None:
        return tuple(ids) if ids else None
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be read: {error}") from None
    return (*(ids or []), *(line.strip() for line in lines if line.strip()))


def _send(hands: Hands, choice: "Choice", sending: Sending, asking: Asking) -> None:
    target = aim(sending)
    found, event_ids = hands.find_events(choice)
    if asking.dry_run:
        show("replay", found | {"to": sending.to}, as_json=asking.as_json)
        return
    if not event_ids:
        raise NotDone(f"nothing to send: {_why_nothing(found)}")
    ask(found, done="sent", as_json=asking.as_json, yes=asking.yes)
    send_all(hands.load, event_ids, sending, target, as_json=asking.as_json)


def _rehearse(hands: Hands, choice: "Choice", *, again: bool, as_json: bool) -> None:
    failed = 0
    plan = hands.plan_replay(choice)
    rehearsed = hands.rehearse(plan, again=again)
    show("replay", plan.preview, as_json=as_json)
    for each in rehearsed:
        failed += each["outcome"] == "failed"
        if as_json:
            print_json([each])
        else:
            write("".join(f"{line}\n" for line in _rehearsed(each)))
    if failed:
        raise NotDone(f"{count(failed, 'delivery')} would fail")


def _rehearsed(view: View) -> Iterator[str]:
    yield f"event {view['event']} {clean(view['type'])}  {view['handler']}: {view['outcome']}"
    for effect in view["effects"]:
        yield f"  would post to {clean(effect['channel'])}, under {clean(effect['key'])}:"
        yield from (f"    {clean(line)}" for line in effect["text"].splitlines())
    yield from (f"  recorded already, so skipped: {clean(key)}" for key in view["skipped"])
    yield from (f"  {clean(line)}" for line in (view["error"] or "").splitlines())


def _replay(
    hands: Hands, choice: "Choice", asking: Asking, *, again: bool, reason: str | None, rate: float | None
) -> None:
    plan = hands.plan_replay(choice)
    if asking.dry_run:
        show("replay", plan.preview, as_json=asking.as_json)
        return
    if not plan.preview["deliveries_to_run"]:
        raise NotDone(f"nothing to replay: {_why_nothing(plan.preview)}")
    ask(plan.preview, done="replayed", as_json=asking.as_json, yes=asking.yes)
    try:
        replay_id = hands.start_replay(plan, again=again, reason=reason)
    except Disconnected as error:
        raise NotDone(
            f"{error}; nobody knows whether it began: `hookline replays list` says so, and --resume goes on with it"
        ) from None
    _advance(hands, replay_id, rate, as_json=asking.as_json, pruned=plan.preview["payload_pruned"])


def _why_nothing(found: View) -> str:
    if found["payload_pruned"]:
        what = "a handler cannot run without it" if "deliveries_to_run" in found else "nothing else can be sent"
        return f"the payload of {count(found['payload_pruned'], 'event')} was pruned, and {what}"
    if found.get("waiting"):
        verb = "waits" if found["waiting"] == 1 else "wait"
        return f"{count(found['waiting'], 'delivery')} {verb} or run already"
    return "no delivery matches" if "deliveries_to_run" in found else "no event matches"


def _advance(hands: Hands, replay_id: int, rate: float | None, *, as_json: bool, pruned: int | None = None) -> None:
    """Do it step by step. Each step is a transaction, so Ctrl-C stops between two, and nothing is half done."""
    size = BATCH if rate is None else max(1, min(BATCH, int(rate / STEPS_A_SECOND)))
    started: list[int] = []
    skipped = 0
    try:
        while True:
            began = time.monotonic()
            step = hands.advance(replay_id, limit=size)
            started += step.started
            skipped += step.left_alone
            _progress(step.cursor, step.items)
            if step.is_last:
                break
            if rate is not None:
                time.sleep(max(0.0, size / rate - (time.monotonic() - began)))
    except KeyboardInterrupt:
        raise NotDone(f"interrupted: {_go_on(replay_id)}") from None
    except Gone:
        raise
    except LedgerUnavailable as error:
        raise NotDone(f"the ledger does not answer ({' '.join(str(error).split())}); {_go_on(replay_id)}") from None
    except NotDone as error:
        raise NotDone(f"{error}; {_go_on(replay_id)}") from None
    if as_json:
        said = {"action": "replay", "replay": replay_id, "deliveries": started, "effects": [], "left_alone": skipped}
        print_json([said if pruned is None else said | {"payload_pruned": pruned}])
        return
    rest = f", {skipped:,} left alone" if skipped else ""
    write(f"replay {replay_id}: {count(len(started), 'delivery')}{rest}\n")


def _go_on(replay_id: int) -> str:
    return f"go on with `hookline replay --resume {replay_id}`, and nothing runs twice"


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty() and of > BATCH:
        filled = BAR_CHARS * done // of
        end = "\n" if done >= of else ""
        print(f"\r[{'#' * filled:<{BAR_CHARS}}] {done:,} of {of:,}", end=end, file=sys.stderr, flush=True)
