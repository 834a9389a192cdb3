"""How often a property is tried whose examples are dearer than most: seldom, and more often in a thorough run."""

from typing import Any

from hypothesis import settings

THOROUGHLY = 6
# As many times more examples have those, too, that do not say how many.


def examples(few: int, **others: Any) -> settings:
    """Give a property's settings; `make test-all` chooses the profile `thorough`."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(max_examples=few * THOROUGHLY if thorough else few, **others)
