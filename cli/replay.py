"""`hookline replay`: show what it would do and to how much money, ask, write it down, and do it step by step."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.again import find_all, whoever
from cli.errors import NotDone
from cli.ledger_door import open_ledger
from cli.moment import check_window
from cli.options import Json, Since, Source, Type, Until
from cli.show import note, print_json, write
from ledger.event import DeliveryState
from ledger.schedule import DAY_S

if TYPE_CHECKING:
    from handlers.payments.stake import Stake
    from ledger.replays import Found, NewHandler
    from ledger.store import Ledger
    from ledger.views import Filter

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

BATCH = 500
# Deliveries a transaction: other writers get their turn in between.

PAGE = 200
STEPS_A_SECOND = 4
BAR_CHARS = 30


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do."""

    found: "Found"
    recorded: int
    stake: "Stake"

    def view(self) -> dict[str, Any]:
        """Give it as one JSON object."""
        return {
            "events": len(self.found.event_ids),
            "deliveries_to_run": len(self.found.items),
            "handlers": dict(sorted(Counter(item.handler for item in self.found.items).items())),
            "effects_recorded": self.recorded,
            "overtaken": self.stake.overtaken,
            "amounts": dict(sorted(self.stake.amounts.items())),
            "test_amounts": dict(sorted(self.stake.test_amounts.items())),
            "customers": len(self.stake.customers),
            "waiting": self.found.waiting,
            "payload_pruned": self.found.pruned,
            "more": self.found.more,
        }


def _rate(text: str) -> float:
    number = text.removesuffix("/s")
    try:
        rate = float(number)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a rate such as 50/s")
    return rate


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
    rate: Annotated[float | None, typer.Option(parser=_rate, metavar="N/s", help="Deliveries a second.")] = None,
    resume: Annotated[int | None, typer.Option(metavar="ID", help="Go on with a replay that was interrupted.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Run the handlers of stored events again, oldest first.

    First it shows what would run and how much money that is about, and asks.
    A filter reaches back 24 h unless --since says otherwise. Effects that are
    recorded already are not repeated, but for --again. Deliveries that wait or
    run are left alone, and so are events whose payload was pruned. Ctrl-C stops
    it; --resume goes on, and nothing runs twice. If one of the ids is unknown,
    nothing is replayed.

    Examples:
      hookline replay evt_1Qabc
      hookline replay --source stripe --type 'invoice.*' --state dead --since 24h --until 1h --limit 100
      hookline replay --handler notifications.refund --since 7d --dry-run
      hookline replay --from ids.txt --yes --rate 50/s --reason 'the book was wrong'
      hookline replay --resume 7
    """
    from ledger.views import Filter

    by_filter = any(each is not None for each in (source, type_, state, handler, since, until, limit))
    if resume is None and not (ids or from_ or by_filter):
        raise typer.BadParameter("name events by id, --from a file, or by a filter such as --source and --since")
    if resume is not None and (ids or from_ or by_filter or again or dry_run):
        raise typer.BadParameter("--resume goes on with what was chosen: it takes no ids and no filter")
    check_window(since, until)
    addresses = _addresses(ids, from_)
    if addresses is None and since is None:
        since = (time.time() if until is None else until) - DAY_S
    wanted = Filter(source=source, type=type_, state=state, handler=handler, since=since, until=until, limit=limit)
    with open_ledger(os.environ) as ledger:
        if resume is None:
            preview = _preview(ledger, wanted, addresses)
            if dry_run:
                _show(preview, as_json=as_json)
                return
            _ask(preview, as_json=as_json, yes=yes, named=bool(ids) and not (from_ or by_filter))
            resume = _create(ledger, preview, wanted, addresses, again=again, reason=reason)
            left_alone = {"payload_pruned": preview.found.pruned}
        else:
            left_alone = {}
        _run(ledger, resume, rate, as_json=as_json, left_alone=left_alone)


def _addresses(ids: list[str] | None, path: Path | None) -> list[str] | None:
    if path is None:
        return ids or None
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be read: {error}") from None
    return [*(ids or []), *(line.strip() for line in lines if line.strip())]


def _preview(ledger: "Ledger", wanted: "Filter", addresses: list[str] | None) -> Preview:
    from handlers.payments.stake import Stake
    from ledger import replays
    from ledger.claims import load_events

    stake = Stake()
    new = _new_handler(wanted.handler)
    with ledger.read() as db:
        event_ids = None if addresses is None else find_all(db, addresses, "replayed")
        found = replays.find(db, wanted, event_ids=event_ids, handler=new)
        chosen = found.event_ids
        for start in range(0, len(chosen), PAGE):
            stake.add(db, load_events(db, chosen[start : start + PAGE]).values())
        return Preview(found, replays.effects_recorded(db, found.items), stake)


def _new_handler(name: str | None) -> "NewHandler | None":
    if name is None:
        return None
    from handlers.router import load_router
    from ledger.replays import NewHandler

    handlers = load_router().by_name
    if name not in handlers:
        raise NotDone(f"there is no handler {name!r}; there is {', '.join(sorted(handlers))}")
    its = handlers[name]
    return NewHandler(name=name, source=its.source, queue=its.queue, wants=its.wants)


def _show(preview: Preview, *, as_json: bool) -> None:
    if as_json:
        print_json([{"action": "replay", "dry_run": True, **preview.view()}])
    else:
        write("".join(f"{line}\n" for line in _lines(preview)))


def _ask(preview: Preview, *, as_json: bool, yes: bool, named: bool) -> None:
    """Show the preview, and let a person decide.

    Raises:
        NotDone: there is nothing to do, or nobody said yes.

    """
    if not preview.found.items:
        raise NotDone(f"nothing to replay: {_why_nothing(preview.found)}")
    asks = not yes and sys.stdin.isatty()
    if not (yes or asks or named):  # whoever spells out the ids in a script has decided
        raise NotDone(
            "nothing was replayed: say --yes to do it without being asked, or --dry-run to see what would run"
        )
    if asks or not as_json:
        for line in _lines(preview):
            note(line)
    if asks and not typer.confirm("Go on?", err=True):
        raise NotDone("nothing was replayed")


def _lines(preview: Preview) -> Iterator[str]:
    view = preview.view()
    more = " (there are more: --limit, or a narrower filter, says which)" if view["more"] else ""
    yield f"{_count(view['events'], 'event')}, {_count(view['deliveries_to_run'], 'delivery')} to run{more}"
    yield from (f"  {handler}: {number:,}" for handler, number in view["handlers"].items())
    if view["effects_recorded"]:
        yield f"  effects recorded already: {view['effects_recorded']:,}, skipped unless --again"
    if view["overtaken"]:
        yield f"  overtaken: {_count(view['overtaken'], 'event')}, of whose objects the book knows something newer"
    for label, amounts in (("money", view["amounts"]), ("test money", view["test_amounts"])):
        if amounts:
            yield f"  {label}: {', '.join(_money(amount, currency) for currency, amount in amounts.items())}"
    if view["customers"]:
        yield f"  customers: {view['customers']:,}"
    if view["waiting"]:
        yield f"  left alone, because they wait or run: {_count(view['waiting'], 'delivery')}"
    if view["payload_pruned"]:
        yield f"  left alone, because the payload was pruned: {_count(view['payload_pruned'], 'event')}"


def _money(amount: int, currency: str) -> str:
    from handlers.payments.money import Money

    return Money(amount, currency).display()


def _why_nothing(found: "Found") -> str:
    if found.pruned:
        return f"the payload of {_count(found.pruned, 'event')} was pruned, and a handler cannot run without it"
    if found.waiting:
        verb = "waits" if found.waiting == 1 else "wait"
        return f"{_count(found.waiting, 'delivery')} {verb} or run already"
    return "no delivery matches"


def _create(
    ledger: "Ledger",
    preview: Preview,
    wanted: "Filter",
    addresses: list[str] | None,
    *,
    again: bool,
    reason: str | None,
) -> int:
    from ledger import replays

    chosen: dict[str, Any] = {name: value for name, value in asdict(wanted).items() if value is not None}
    if addresses is not None:
        chosen["ids"] = len(addresses)
    with ledger.write() as db:
        return replays.create(
            db,
            preview.found.items,
            who=whoever(),
            reason=reason,
            chosen=chosen,
            state=wanted.state,
            again=again,
            now=time.time(),
        )


def _run(ledger: "Ledger", replay_id: int, rate: float | None, *, as_json: bool, left_alone: dict[str, int]) -> None:
    """Do it step by step. Each step is a transaction, so Ctrl-C stops between two, and nothing is half done."""
    from ledger import replays

    size = BATCH if rate is None else max(1, min(BATCH, int(rate / STEPS_A_SECOND)))
    started: list[int] = []
    skipped = 0
    try:
        while True:
            began = time.monotonic()
            with ledger.write() as db:
                step = replays.advance(db, replay_id, limit=size, now=time.time())
            started += step.started
            skipped += step.left_alone
            _progress(step.cursor, step.items)
            if step.is_last:
                break
            if rate is not None:
                time.sleep(max(0.0, size / rate - (time.monotonic() - began)))
    except LookupError:
        raise NotDone(f"there is no replay {replay_id}") from None
    except KeyboardInterrupt:
        raise NotDone(f"interrupted: go on with `hookline replay --resume {replay_id}`") from None
    if as_json:
        said = {"action": "replay", "replay": replay_id, "deliveries": started, "effects": [], "left_alone": skipped}
        print_json([said | left_alone])
        return
    rest = f", {skipped:,} left alone" if skipped else ""
    write(f"replay {replay_id}: {_count(len(started), 'delivery')}{rest}\n")


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty() and of > BATCH:
        filled = BAR_CHARS * done // of
        end = "\n" if done >= of else ""
        print(f"\r[{'#' * filled:<{BAR_CHARS}}] {done:,} of {of:,}", end=end, file=sys.stderr, flush=True)


def _count(number: int, noun: str) -> str:
    many = noun[:-1] + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
