"""How many examples a property is tried with: few, or ten times as many with `--hypothesis-profile=thorough`."""

from typing import Any

from hypothesis import HealthCheck, settings

FEW = 40
# Where an example takes a millisecond and a property says nothing else.

THOROUGHLY = 10


def register() -> None:
    """Register both profiles, and load the one with few."""
    # No time limits: a busy machine is not a wrong result.
    quiet: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("hookline", max_examples=FEW, **quiet)
    settings.register_profile("thorough", max_examples=FEW * THOROUGHLY, **quiet)
    settings.load_profile("hookline")


def examples(few: int, **others: Any) -> settings:
    """Give the settings of a property whose examples are dearer than most."""
    profile = settings.get_current_profile_name()
    return settings(max_examples=few * (THOROUGHLY if profile == "thorough" else 1), **others)
