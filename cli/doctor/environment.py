"""Settings, the rules for alerts, and the plug-ins that are found by being there."""

from collections.abc import Iterator

from cli.doctor.finding import Finding, ok, problem
from cli.doctor.installation import Installation
from config.errors import InvalidRules
from config.rules import rules_of
from handlers.errors import BrokenPlugin
from handlers.router import load_router
from receivers.providers import load_providers


def check_settings(installation: Installation) -> Iterator[Finding]:
    """Name every variable that cannot be used."""
    for each in installation.problems:
        yield problem("settings", each, "set it right, or unset it; until then, nothing starts")
    if not installation.problems:
        kind = "development (`hookline dev`)" if installation.is_development else "production"
        yield ok("settings", f"{kind}, data directory {installation.settings.hookline_data_dir}")


def check_rules(installation: Installation) -> Iterator[Finding]:
    """Read the rules for alerts, as worker and sweeper do when they start."""
    path = installation.settings.hookline_alerts
    try:
        rules_of(installation.settings)
    except InvalidRules as error:
        for each in error.problems:
            yield problem(
                "alert rules", each, "mend that line (docs/alerts.md); until then, no worker or sweeper starts"
            )
    else:
        yield ok("alert rules", str(path) if path.is_file() else f"there is no {path}: everything is as usual")


def check_plugins(_installation: Installation) -> Iterator[Finding]:
    """Load every provider and every handler, as the processes do when they start."""
    try:
        sources = sorted({provider.source for provider in load_providers()})
        handlers = load_router().by_name
    except BrokenPlugin as error:
        yield problem("plug-ins", str(error), "mend or remove that file: nothing starts with it")
    else:
        yield ok("plug-ins", f"{', '.join(sources)}; {len(handlers)} handlers")
