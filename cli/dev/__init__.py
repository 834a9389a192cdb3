"""`hookline dev`: everything that Hookline needs on one machine, in one terminal, with nothing to install first."""

import os
from collections.abc import Mapping

import typer


def dev() -> None:
    """Run everything on this machine, until Ctrl-C: web, worker, sweeper, ledger and broker.

    Makes development secrets once, and keeps everything in HOOKLINE_DATA_DIR
    (var/ in the checkout). What ends is started again.

    Examples:
      hookline dev
      PORT=8001 HOOKLINE_DATA_DIR=/tmp/second hookline dev
    """
    raise typer.Exit(run(os.environ))


def run(environ: Mapping[str, str]) -> int:
    """Run the whole service until Ctrl-C. Give the exit status; what is wrong is one sentence on standard error."""
    from cli.dev.command import run_dev  # noqa: PLC0415  # it is most of the service; help texts and secrets are not

    return run_dev(environ)
