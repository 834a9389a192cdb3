"""`hookline prune`: let old events go, as far as all that was owed for them is over."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from cli.errors import NotDone
from cli.hands import by_whoever
from cli.ledger_door import open_ledger
from cli.moment import AGO, UNIT_S
from cli.options import Json
from cli.remote.api import is_remote, open_api
from cli.show import note, print_json, write
from ledger.schedule import DAY_S

if TYPE_CHECKING:
    from config.settings import Settings
    from ledger.prune import Ages, Pruned
    from ledger.store import Ledger

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

SAY_EVERY_S = 5.0


def _parse_age(text: str) -> float:
    """Read an age such as 30d; give seconds."""
    match = AGO.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not an age such as 30d, 12w or 36h")
    return float(int(match[1]) * UNIT_S[match[2]])


def prune(
    payload_after: Annotated[
        float | None,
        typer.Option(
            parser=_parse_age,
            metavar="AGE",
            help="Empty body and headers when they are so old. [HOOKLINE_KEEP_PAYLOAD_DAYS, else 30d]",
        ),
    ] = None,
    identity_after: Annotated[
        float | None,
        typer.Option(
            parser=_parse_age,
            metavar="AGE",
            help="Delete the event itself when it is so old. [HOOKLINE_KEEP_IDENTITY_DAYS, else 90d]",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Let old events go: first their payload, later all of them.

    Ages count from when an event was received. Only what is over goes: an event
    with anything that waits, failed or is dead keeps everything. The book of
    payments stays, and nobody is ever told twice: the keys of what was sent stay.

    It works in small steps beside the running service. Ctrl-C ends it after the
    step; what is left goes the next time. Of a service elsewhere (--url), its own
    settings say what is old, unless it is said here. Nothing runs it by itself: let cron or
    a systemd timer run it every night, with --yes.

    Examples:
      hookline prune --dry-run
      hookline prune --payload-after 14d --identity-after 60d
      15 3 * * *  hookline prune --yes      (a line for cron)
    """
    with _open_broom(os.environ, payload_after, identity_after) as broom:
        if dry_run:
            _show_preview(broom, as_json=as_json)
            return
        if not yes:
            _ask(broom)
        _prune(broom, as_json=as_json)


class Broom(Protocol):
    """Lets old events go: of the ledger that is here, or of a service elsewhere."""

    def preview(self) -> "Pruned":
        """Say what would go."""

    def prune(self, *, stopping: threading.Event, said: Callable[["Pruned"], None]) -> "Pruned":
        """Do it, and write it down; `said` hears now and then how far it is."""


@contextmanager
def _open_broom(
    environ: Mapping[str, str], payload_after_s: float | None, identity_after_s: float | None
) -> Iterator[Broom]:
    from config.settings import load_settings

    if is_remote(environ):
        from cli.remote.broom import RemoteBroom

        _check_ages(payload_after_s, identity_after_s)
        with closing(open_api(environ)) as api:
            yield RemoteBroom(api, payload_after_s, identity_after_s)
        return
    ages = _ages(load_settings(environ), payload_after_s, identity_after_s)
    with open_ledger(environ) as ledger:
        yield _LocalBroom(ledger, ages)


class _LocalBroom:
    """Works on a ledger that can be reached from here."""

    def __init__(self, ledger: "Ledger", ages: "Ages") -> None:
        self._ledger = ledger
        self._ages = ages

    def preview(self) -> "Pruned":
        from ledger.prune import preview

        return preview(self._ledger, self._ages)

    def prune(self, *, stopping: threading.Event, said: Callable[["Pruned"], None]) -> "Pruned":
        from ledger import prune as retention

        return retention.prune(self._ledger, self._ages, by=by_whoever(), stopping=stopping, said=said)


def _ages(settings: "Settings", payload_after_s: float | None, identity_after_s: float | None) -> "Ages":
    from ledger.prune import Ages

    payload_s = settings.hookline_keep_payload_days * DAY_S if payload_after_s is None else payload_after_s
    identity_s = settings.hookline_keep_identity_days * DAY_S if identity_after_s is None else identity_after_s
    _check_ages(payload_s, identity_s)
    now = time.time()
    return Ages(payload_before=now - payload_s, identity_before=now - identity_s)


def _check_ages(payload_s: float | None, identity_s: float | None) -> None:
    """Refuse what nobody can mean; None is what the service has set."""
    from config.settings import MIN_IDENTITY_DAYS

    if payload_s is not None and identity_s is not None and identity_s < payload_s:
        raise typer.BadParameter("an event cannot go before its payload: --identity-after must not be the shorter one")
    if identity_s is not None and identity_s < MIN_IDENTITY_DAYS * DAY_S:
        raise typer.BadParameter(f"--identity-after must be {MIN_IDENTITY_DAYS}d or more: until then providers repeat")


def _show_preview(broom: Broom, *, as_json: bool) -> None:
    found = broom.preview()
    if as_json:
        print_json([_view(found, dry_run=True) | {"unfinished": found.unfinished}])
    else:
        write("".join(f"{line}\n" for line in _preview_lines(found)))


def _preview_lines(found: "Pruned") -> Iterator[str]:
    yield f"would delete {_events(found.deleted)}, and empty the payload of {_events(found.emptied)}"
    if found.unfinished:
        yield f"not over, and therefore left whole: {_events(found.unfinished)} of that age"


def _ask(broom: Broom) -> None:
    """Let a person decide; whoever is none has to say so beforehand."""
    if not sys.stdin.isatty():
        raise NotDone("nothing was pruned: say --yes to do it without being asked, or --dry-run to see what would go")
    for line in _preview_lines(broom.preview()):
        note(line)
    if not typer.confirm("What is gone is gone. Go on?", err=True):
        raise NotDone("nothing was pruned")


def _prune(broom: Broom, *, as_json: bool) -> None:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    began = time.monotonic()
    done = broom.prune(stopping=stopping, said=_Progress().say)
    if as_json:
        print_json([_view(done, dry_run=False) | {"interrupted": stopping.is_set()}])
    else:
        write(
            f"{'interrupted: ' if stopping.is_set() else ''}deleted {_events(done.deleted)}, "
            f"and emptied the payload of {_events(done.emptied)}, in {time.monotonic() - began:.0f} s\n"
        )
    if (done.deleted or done.emptied) and sys.stderr.isatty():
        note("the database reuses the space; its files do not shrink (docs/decisions/0015-retention.md: how they do)")


class _Progress:
    """Tells a person who watches how far it is, now and then."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def say(self, done: "Pruned") -> None:
        if sys.stderr.isatty() and time.monotonic() - self._said_at > SAY_EVERY_S:
            self._said_at = time.monotonic()
            note(f"… {done.deleted:,} deleted, {done.emptied:,} emptied")


def _view(pruned: "Pruned", *, dry_run: bool) -> dict[str, object]:
    return {
        "action": "prune",
        "dry_run": dry_run,
        "events_deleted": pruned.deleted,
        "payloads_emptied": pruned.emptied,
    }


def _events(number: int) -> str:
    return f"{number:,} event{'' if number == 1 else 's'}"
