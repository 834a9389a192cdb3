"""Names in filters, as the commands check them: a wrong one is wrong usage of its option."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ledger.question import Asked

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door


def check_source(db: "Asked", name: str | None) -> None:
    """Make sure that there is a provider of this name, or an event from it.

    Raises:
        typer.BadParameter: there is none. It names those that there are.

    """
    from ledger import names

    with _as_usage():
        names.check_source(db, name, _sources)


def check_handler(db: "Asked", name: str | None) -> None:
    """Make sure that there is a handler of this name, or was one. Raises as `check_source` does."""
    from ledger import names

    with _as_usage():
        names.check_handler(db, name, _handlers)


def check_reason(db: "Asked", name: str | None) -> None:
    """Make sure that requests are refused for this, or were once. Raises as `check_source` does."""
    from ledger import names

    with _as_usage():
        names.check_reason(db, name)


@contextmanager
def _as_usage() -> Iterator[None]:
    from ledger.names import UnknownName

    try:
        yield
    except UnknownName as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.what}") from None


def _sources() -> Collection[str]:
    from receivers.providers import load_providers

    return {provider.source for provider in load_providers()}


def _handlers() -> Collection[str]:
    from handlers.router import load_router

    return load_router().by_name
