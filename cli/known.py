"""Names in filters: one that there cannot be is a slip of the keyboard, and not an empty list."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

REASONS = frozenset(
    {
        "body_cut_off",
        "body_too_large",
        "body_too_slow",
        "content_encoding_unsupported",
        "content_type_unsupported",
        "header_repeated",
        "shutting_down",
        "signature_malformed",
        "signature_mismatch",
        "signature_missing",
        "source_not_configured",
        "timestamp_in_future",
        "timestamp_malformed",
        "timestamp_missing",
        "timestamp_too_old",
        "too_many_bodies",
    }
)
# What our own receivers refuse requests for.


def check_source(db: "Connection", name: str | None) -> None:
    """Make sure that there is a provider of this name, or an event from it.

    Raises:
        typer.BadParameter: there is none. It names those that there are.

    """
    from ledger import own
    from ledger.views.sources import has_events, sources_in

    if name is None or name == own.SOURCE or has_events(db, name):
        return
    from receivers.providers import load_providers

    known = {provider.source for provider in load_providers()}
    if name not in known:
        raise _unknown("source", name, {*known, *sources_in(db)})


def check_handler(db: "Connection", name: str | None) -> None:
    """Make sure that there is a handler of this name, or was one. Raises as `check_source` does."""
    from ledger import views
    from ledger.views.filter import is_known

    if name is None or is_known(db, name):
        return
    from handlers.router import load_router

    known = load_router().by_name
    if name not in known:
        raise _unknown("handler", name, {*known, *views.known_handlers(db)})


def check_reason(db: "Connection", name: str | None) -> None:
    """Make sure that requests are refused for this, or were once. Raises as `check_source` does."""
    from sqlalchemy import select

    from ledger.tables import requests

    if name is None or name in REASONS:
        return
    found = db.execute(select(requests.c.reason).where(requests.c.reason == name).limit(1)).first()
    if found is None:
        raise _unknown("reason", name, REASONS)


def _unknown(what: str, name: str, known: "Iterable[str]") -> typer.BadParameter:
    return typer.BadParameter(
        f"there is no {what} {name!r}; there are {', '.join(sorted(known))}", param_hint=f"--{what}"
    )
