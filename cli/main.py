"""The `hookline` command: run the service, send it samples, look at what it holds, run things again."""

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.commands import MARKUP, LazyGroup
from cli.errors import NotDone, ReaderGone
from cli.remote.api import TOKEN, URL, is_remote
from cli.show import Answer, note
from config.errors import ConfigError

WRONG_USAGE = 2

OVER_HTTP = frozenset(
    {"events", "deliveries", "requests", "retry", "dismiss", "replay", "resend", "redeliver", "replays"}
    | {"forward", "listen", "stats", "sources", "payments", "audit", "tokens", "prune"}
)
# What can work on a service elsewhere. The others would look at this machine, and let somebody believe it was that one.

app = typer.Typer(
    name="hookline",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
)


@app.callback()
def hookline(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Work on a service elsewhere, over its HTTP API. [HOOKLINE_URL]"),
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="A token of that service. [HOOKLINE_TOKEN, which no list shows]")
    ] = None,
) -> None:
    """Verified webhooks in, payments and notifications out, nothing lost in between.

    Start with this, and leave it running:
      hookline dev

    Then, in another shell:
      hookline trigger stripe charge.dispute.created    send a signed sample
      hookline events list                              see what came in
      hookline events get 1                             see what became of it
      hookline stats                                    how much, and how fast
      hookline deliveries list --state dead             see what needs a person
      hookline retry --handler notifications.dispute    run what is dead again
      hookline replay 1                                 run what is done again
      hookline payments summary --since 24h             see what became of money
      hookline dismiss 17 --reason 'test data'          call it off
      hookline alerts preview 1                         see what Slack would get

    Over HTTP (--url) all work but dev, migrate, doctor, trigger, alerts and
    verify, which work where the service is, and refuse it.

    Every command has a --help with examples. Exit status: 0 done, 1 something
    failed or was not found, 2 wrong usage.
    """
    if (url is not None and not url.strip()) or (token is not None and not token.strip()):
        # As when a script's variable is not set: to work on the ledger that is here would be the wrong one.
        raise typer.BadParameter("--url and --token must not be empty")
    # The commands, and what they start, read it where everything else is that says which service is meant.
    os.environ.update({name: value for name, value in ((URL, url), (TOKEN, token)) if value is not None})
    command = context.invoked_subcommand
    if is_remote(os.environ) and command not in OVER_HTTP and "--help" not in sys.argv:
        raise NotDone(f"`hookline {command}` works where the service is, not over HTTP: unset {URL}, and no --url")


def main() -> None:
    """Run the command line: exit 0 done, 1 something failed or was not found, 2 wrong usage."""
    _start_fast()
    _open_streams()
    _refuse_what_is_not_text(sys.argv[1:])
    try:
        app(prog_name="hookline")
    except (ConfigError, NotDone) as error:
        note(f"hookline: {error}")
        sys.exit(1)
    except ReaderGone:
        # The interpreter would complain on its way out, when it flushes what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _start_fast() -> None:
    """Leave out what costs time at the start and is of no use here; see docs/performance.md."""
    # Imports make many objects and next to no garbage: collecting it as eagerly as usual is a tenth of the start-up.
    gc.set_threshold(100_000, 20, 20)
    # Nor does it help to look through all of it once more when the interpreter ends: a fifth of what a command takes.
    atexit.register(gc.freeze)
    # For plug-ins, of which there are none, Pydantic reads what each installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _open_streams() -> None:
    """Have something to write to also where it was closed, and let nothing fail because a terminal cannot show it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # open until the end
        getattr(sys, name).reconfigure(errors="replace")
    lines = sys.stdout.isatty()
    encoding = sys.stdout.encoding
    sys.stdout = Answer(sys.stdout.detach(), encoding=encoding, errors="replace", line_buffering=lines)  # type: ignore[union-attr]


def _refuse_what_is_not_text(words: list[str]) -> None:
    """No id, type or name can have bytes in it that are not UTF-8, and no database takes them."""
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        note("hookline: arguments must be UTF-8")
        sys.exit(WRONG_USAGE)
