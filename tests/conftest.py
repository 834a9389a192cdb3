"""What every test may start from: a real, migrated, empty ledger, in a SQLite file and in a PostgreSQL server."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, make_url

from config.database import make_engine
from ledger.store import Ledger
from tests.cli.dev.waiting import wait_until
from tests.cli.shell import open_nursery
from tests.engines import POSTGRESQL, SQLITE
from tests.ledger.making import lay_out, migrate, settings_for
from tests.servers.postgresql import PostgresServer

TESTS = Path(__file__).parent

NURSERY = pytest.StashKey[Path]()
NURSERY_INPUT = "nursery"

# No time limits: a busy machine is not a wrong result.
settings.register_profile("hookline", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("thorough", settings.get_profile("hookline"), max_examples=300)
settings.load_profile("hookline")
# `make test-all` asks for the other one.


SLOWEST_FIRST = (
    "system/test_brokers_rabbitmq.py",
    "system/test_brokers_redis.py",
    "system/test_slack_trouble.py",
    "system/test_postgresql.py",
    "workers/test_storms.py",
    "system/test_metrics.py",
    "system/test_worker_killed.py",
    "system/test_worker_stopped.py",
    "receivers/http/test_bodies.py",
    "system/test_valkey_killed.py",
    "system/test_dev.py",
    "cli/dev/test_supervisor.py",
    "system/test_again.py",
    "receivers/http/test_unavailable.py",
    "cli/remote/test_remote.py",
    "system/",
    "config/test_redis.py",
    "deploy/",
    "config/",
)
# Twenty seconds and more each, most of it waiting. A run is over when its last file is: they must not be that.


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while the tests are imported: there is none, and looking takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest (`make test` hands out files in this order)."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS).as_posix()
        return next((n for n, start in enumerate(SLOWEST_FIRST) if path.startswith(start)), len(SLOWEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Log what the tests' own process logs without structlog's own tracebacks, which take a second each."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database that this test's ledger is in."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server for all tests of this process; it is started by the first that asks for it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def migrated_url(postgresql: PostgresServer) -> URL:
    """The URL of a migrated ledger in that server."""
    url = make_url(postgresql.create_database("ledger"))
    migrate(url)
    return url


@pytest.fixture
def ledger_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """The URL of a migrated, empty ledger."""
    if database == POSTGRESQL:
        server, url = request.getfixturevalue("postgresql"), request.getfixturevalue("migrated_url")
        server.empty_database(url.database)
        return cast("URL", url)
    path = tmp_path / "ledger.db"
    lay_out(path)
    return URL.create(SQLITE, database=str(path))


@pytest.fixture
def new_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """The URL of a database without tables, for this test alone."""
    if database == SQLITE:
        yield URL.create(SQLITE, database=str(tmp_path / "new.db"))
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    yield make_url(server.create_database("new"))
    server.drop_database("new")


@pytest.fixture
def ledger(ledger_url: URL) -> Iterator[Ledger]:
    """An empty ledger."""
    ledger = Ledger(make_engine(settings_for(ledger_url)))
    yield ledger
    ledger.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # xdist has no types
    """Start one nursery for all processes that run tests: to import everything takes it two seconds."""
    config: pytest.Config = node.config
    if NURSERY not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)  # when all of them have ended
        config.stash[NURSERY] = stack.enter_context(open_nursery())
    node.workerinput[NURSERY_INPUT] = str(config.stash[NURSERY])


@pytest.fixture(scope="session")
def nursery(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The socket of the process that commands, and web processes, are forked from."""
    given: str | None = getattr(request.config, "workerinput", {}).get(NURSERY_INPUT)
    with open_nursery() if given is None else nullcontext(Path(given)) as socket:
        wait_until(socket.exists)
        yield socket


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on the loop that the product runs on."""
    return "asyncio"
