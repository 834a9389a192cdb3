"""Settings, and the plug-ins that are found by being there."""

from collections.abc import Iterator

from cli.doctor.finding import Finding, ok, problem
from cli.doctor.installation import Installation
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


def check_plugins(_installation: Installation) -> Iterator[Finding]:
    """Load every provider and every handler, as the processes do when they start."""
    try:
        sources = sorted({provider.source for provider in load_providers()})
        handlers = load_router().by_name
    except BrokenPlugin as error:
        yield problem("plug-ins", str(error), "mend or remove that file: nothing starts with it")
    else:
        yield ok("plug-ins", f"{', '.join(sources)}; {len(handlers)} handlers")
