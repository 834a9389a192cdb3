"""The `hookline` command: run the service, send it samples, look at what it holds, run things again."""

import os
import sys

import typer

from cli import again, events, trigger
from cli.errors import NotDone
from cli.ledger_door import open_engine
from config.errors import ConfigError
from ledger.errors import LedgerUnavailable
from ledger.migrate import upgrade

app = typer.Typer(
    name="hookline",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Verified webhooks in, payments and notifications out, nothing lost in between.

    Start with `hookline dev`, then in another shell:

    * `hookline trigger stripe charge.dispute.created` sends a signed sample
    * `hookline events list` shows what came in
    * `hookline events get 1` shows what became of it
    * `hookline replay 1` runs its handlers again
    """,
)
app.add_typer(events.events_app, name="events")
app.add_typer(events.deliveries_app, name="deliveries")
app.add_typer(events.requests_app, name="requests")
app.command()(trigger.trigger)
app.command()(again.retry)
app.command()(again.replay)


@app.command()
def dev() -> None:
    """Run everything on this machine: web, worker, sweeper, ledger and broker. Ctrl-C stops it.

    Makes development secrets once, and keeps everything in HOOKLINE_DATA_DIR (`var/`).
    """
    from cli.dev import run  # noqa: PLC0415  # half of the start-up time of every other command

    raise typer.Exit(run(os.environ))


@app.command()
def migrate() -> None:
    """Create the ledger's tables, or bring them up to date. Run it before each deploy's processes start."""
    upgrade(open_engine(os.environ))
    print("the ledger's tables are up to date")


def main() -> None:
    """Run the command line: exit 0 done, 1 something failed or was not found, 2 wrong usage."""
    try:
        app()
    except (ConfigError, LedgerUnavailable, NotDone) as error:
        sys.exit(f"hookline: {error}")
    except BrokenPipeError:
        # Whoever read our output has enough, as `head` does. The interpreter must not complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
