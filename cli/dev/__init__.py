"""`hookline dev`: everything that Hookline needs on one machine, in one terminal, with nothing to install first."""

from collections.abc import Mapping


def run(environ: Mapping[str, str]) -> int:
    """Run the whole service until Ctrl-C. Give the exit status; what is wrong is one sentence on standard error."""
    from cli.dev.command import run_dev  # noqa: PLC0415  # `hookline trigger` wants this package's secrets and no more

    return run_dev(environ)
