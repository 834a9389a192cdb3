"""A shell whose `hookline` has a real, migrated ledger."""

from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.shell import Shell
from tests.engines import SQLITE


@pytest.fixture(params=[SQLITE])
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, because each of these tests starts processes; those in which the database matters say ON_BOTH."""
    kind: str = request.param
    return kind


@pytest.fixture
def shell(ledger_url: URL, tmp_path: Path, nursery: Path) -> Shell:
    """A shell in which DATABASE_URL is set to the ledger of this test."""
    return Shell(tmp_path, {"DATABASE_URL": ledger_url.render_as_string(hide_password=False)}, nursery)


@pytest.fixture
def bare_shell(tmp_path: Path, nursery: Path) -> Shell:
    """A shell in which nothing is set but an empty data directory."""
    return Shell(tmp_path, {}, nursery)
