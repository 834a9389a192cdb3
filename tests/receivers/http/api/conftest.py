from collections.abc import Iterator
from pathlib import Path

import pytest

from config.database import make_engine
from config.settings import load_settings
from ledger.store import Ledger
from tests.receivers.http.api.house import House
from tests.receivers.http.server import Server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[House]:
    """A web process, its ledger, and tokens for it; shared by the tests of a file."""
    server = Server(tmp_path_factory.mktemp("api"), nursery=nursery)
    try:
        server.start()
        ledger = Ledger(make_engine(load_settings({"DATABASE_URL": f"sqlite:///{server.ledger}"})))
        yield House(server, ledger)
        ledger.close()
        assert "Traceback" not in server.printed()
    finally:
        server.close()
