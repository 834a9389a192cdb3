"""`hookline sources`: which sources there are, and whether they are heard of."""

import os
import time
from collections.abc import Mapping
from typing import Any

from cli.ledger_door import looking
from cli.options import Json
from cli.remote.api import ask, is_remote
from cli.show import Column, print_json, print_table
from ledger.schedule import DAY_S, HOUR_S, MINUTE_S

# ruff: noqa: PLC0415  # SQLAlchemy and the providers' SDKs are imported by the commands that need them; see ledger_door

COLUMNS = (
    Column("source"),
    Column("configured"),
    Column("last_event_at"),
    Column("events_24h"),
    Column("rejected_24h"),
    Column("usual_gap"),
    Column("last_type", elastic=True),
)

UNITS = {DAY_S: "d", HOUR_S: "h", MINUTE_S: "min", 1.0: "s"}


def sources(as_json: Json = False) -> None:
    """List the sources: configured or not, last event, what came in and was rejected in 24 h.

    Configured means that this shell has its secret, or `hookline dev` made one; of a
    service elsewhere (--url), that the service has it. The usual gap is the median
    time between its newest events: a source that is silent for much longer may have
    lost its webhook.

    Examples:
      hookline sources
      hookline sources --json | jq 'select(.configured and .events_24h == 0)'
    """
    from ledger.views.sources import list_sources

    configured: dict[str, str | None] = {}
    if is_remote(os.environ):
        found = ask(os.environ, "/sources")["sources"]
    else:
        configured = _configured(os.environ)
        known = {source: where is not None for source, where in configured.items()}
        with looking(os.environ) as db:
            found = list_sources(db, known, now=time.time())
    if as_json:
        print_json(found)
    else:
        print_table([_row(each, configured.get(each["source"])) for each in found], COLUMNS)


def _configured(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Say of each source that there is a provider for where its secret is, never what it is; None: nowhere."""
    from cli.dev.secrets import read_dev_secrets
    from config.settings import load_settings
    from receivers.providers import load_providers

    path = load_settings(environ).dev_secrets_path
    try:
        kept = read_dev_secrets(path)
    except (OSError, UnicodeDecodeError):  # what cannot be read configures nothing
        kept = {}
    found: dict[str, str | None] = {}
    for provider in load_providers():
        variable = provider.secret_variable
        found[provider.source] = "yes" if variable in environ else "by hookline dev" if variable in kept else None
    return found


def _row(view: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    configured = (where or "yes") if view["configured"] else "no"
    return {**view, "configured": configured, "usual_gap": _age(view["usual_gap_s"])}


def _age(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    unit = next((unit for unit in UNITS if seconds >= unit), None)
    if unit is None:
        return "< 1 s"
    return f"{seconds / unit:.1f}".removesuffix(".0") + f" {UNITS[unit]}"
