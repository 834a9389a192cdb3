"""A shell whose `hookline` has a real, migrated ledger."""

from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.shell import Shell


@pytest.fixture
def shell(ledger_url: URL, tmp_path: Path) -> Shell:
    """A shell in which DATABASE_URL is set to the ledger of this test."""
    return Shell(tmp_path, {"DATABASE_URL": str(ledger_url)})


@pytest.fixture
def bare_shell(tmp_path: Path) -> Shell:
    """A shell in which nothing is set but an empty data directory."""
    return Shell(tmp_path, {})
