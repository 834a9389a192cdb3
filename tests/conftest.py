"""What every test may start from: a real ledger in a temporary directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import URL

from config.database import make_engine
from ledger.migrate import upgrade
from ledger.store import Ledger

# No time limits: a busy machine is not a wrong result.
settings.register_profile("hookline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hookline")


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Log what the tests' own process logs without structlog's own tracebacks, which take a second each."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])


@pytest.fixture
def ledger_url(tmp_path: Path) -> URL:
    """The URL of a migrated, empty ledger."""
    url = URL.create("sqlite", database=str(tmp_path / "ledger.db"))
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def ledger(ledger_url: URL) -> Iterator[Ledger]:
    """An empty ledger."""
    ledger = Ledger(make_engine(ledger_url))
    yield ledger
    ledger.close()


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on the loop that the product runs on."""
    return "asyncio"
