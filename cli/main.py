"""The `hookline` command: run the service, send it samples, look at what it holds, run things again."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import (
    again,
    alerts,
    audit,
    deliveries,
    events,
    ledger_door,
    payments,
    prune,
    replay,
    replays,
    requests,
    sources,
    stats,
    tokens,
    trigger,
)
from cli.errors import NotDone, ReaderGone
from cli.forward import command as forward_command
from cli.listen import command as listen_command
from cli.options import Json
from cli.remote.api import TOKEN, URL, is_remote
from cli.show import Answer, note, print_json, write
from cli.verify import command as verify_command
from config.errors import ConfigError

WRONG_USAGE = 2

OVER_HTTP = frozenset(
    {"events", "deliveries", "requests", "retry", "dismiss", "replay", "resend", "redeliver", "replays"}
    | {"forward", "listen", "stats", "sources", "payments", "audit", "tokens", "prune"}
)
# What can work on a service elsewhere. The others would look at this machine, and let somebody believe it was that one.

app = typer.Typer(
    name="hookline",
    no_args_is_help=True,
    rich_markup_mode="rich",
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


@app.command()
def dev() -> None:
    """Run everything on this machine, until Ctrl-C: web, worker, sweeper, ledger and broker.

    Makes development secrets once, and keeps everything in HOOKLINE_DATA_DIR
    (var/ in the checkout). What ends is started again.

    Examples:
      hookline dev
      PORT=8001 HOOKLINE_DATA_DIR=/tmp/second hookline dev
    """
    from cli.dev import run  # noqa: PLC0415  # it is most of the service, and no other command needs it

    raise typer.Exit(run(os.environ))


@app.command()
def migrate(as_json: Json = False) -> None:
    """Create the ledger's tables, or bring them up to date.

    Run it before a deploy's processes start; running it again changes nothing.
    With `hookline dev` it is not needed.

    Examples:
      hookline migrate
      DATABASE_URL=postgresql://hookline@db/hookline hookline migrate
    """
    address = ledger_door.migrate(os.environ)
    if as_json:
        print_json([{"action": "migrate", "ledger": address, "status": "up to date"}])
    else:
        write(f"the ledger's tables are up to date ({address})\n")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at everything that Hookline needs, and say what is wrong and how to mend it.

    Settings, secrets, web process, ledger, broker, queue, clock, Slack: whatever
    of it is broken, the others are looked at all the same. It ends within 30 s.
    Run it with the service's environment, as the service's user. Exits 1 when
    something is a problem; warnings are for a person to judge.

    Examples:
      hookline doctor
      hookline doctor --json | jq 'select(.status != "ok")'
    """
    from cli.doctor.command import run_doctor  # noqa: PLC0415  # it needs all of the service, and no other command does

    run_doctor(as_json=as_json)


app.command()(trigger.trigger)
app.add_typer(events.events_app, name="events")
app.add_typer(deliveries.deliveries_app, name="deliveries")
app.add_typer(requests.requests_app, name="requests")
app.command()(stats.stats)
app.command()(sources.sources)
app.add_typer(payments.payments_app, name="payments")
app.command()(again.retry)
app.command()(again.dismiss)
app.command()(replay.replay)
app.command("resend", hidden=True)(replay.replay)  # what Stripe calls it
app.command("redeliver", hidden=True)(replay.replay)  # what GitHub calls it
app.add_typer(replays.replays_app, name="replays")
app.add_typer(alerts.alerts_app, name="alerts")
app.command()(prune.prune)
app.command()(verify_command.verify)
app.command("forward")(forward_command.forward_events)
app.command()(listen_command.listen)
app.add_typer(tokens.tokens_app, name="tokens")
app.add_typer(audit.audit_app, name="audit")


def main() -> None:
    """Run the command line: exit 0 done, 1 something failed or was not found, 2 wrong usage."""
    # Imports make many objects and next to no garbage: collecting it as eagerly as usual is a tenth of the start-up.
    gc.set_threshold(100_000, 20, 20)
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
