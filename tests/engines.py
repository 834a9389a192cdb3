"""Which databases a test runs on. Without one of these marks: both."""

import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"

ON_SQLITE = pytest.mark.parametrize("database", [SQLITE], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
ON_BOTH = pytest.mark.parametrize("database", [SQLITE, POSTGRESQL], indirect=True)
# For a folder whose tests run on one of them unless they say otherwise.

DESK_ON_BOTH = pytest.mark.parametrize("engine", [SQLITE, POSTGRESQL], indirect=True)
DESK_ON_SQLITE = pytest.mark.parametrize("engine", [SQLITE], indirect=True)
# The same for the desk of the handlers' tests: hundreds of examples are enough on one of them.
