from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.receivers.http.server import Server


class StartServer(Protocol):
    """Starts a server for one test alone."""

    def __call__(self, environ: Mapping[str, str] | None = None, *, without: Collection[str] = ()) -> Server: ...


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[Server]:
    """A server that many tests share. Each leaves it as it was, but for rows; none of them broke it."""
    server = Server(tmp_path_factory.mktemp("web"), nursery=nursery)
    try:
        server.start()
        yield server
        assert "Traceback" not in server.printed()
    finally:
        server.close()


@pytest.fixture
def start_server(tmp_path: Path, nursery: Path) -> Iterator[StartServer]:
    servers: list[Server] = []

    def start(environ: Mapping[str, str] | None = None, *, without: Collection[str] = ()) -> Server:
        directory = tmp_path / f"web-{len(servers)}"
        directory.mkdir()
        servers.append(Server(directory, environ, without=without, nursery=nursery))
        servers[-1].start()
        return servers[-1]

    yield start
    for each in servers:
        each.close()


@pytest.fixture
def own_server(start_server: StartServer) -> Server:
    """A server for one test alone."""
    return start_server()
