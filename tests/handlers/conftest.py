"""A ledger with the book in it: in memory, and in PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, make_url

import handlers.payments.indexes
import ledger.indexes
from config.database import make_engine
from handlers.router import Router, load_router
from ledger.tables import metadata
from tests.engines import POSTGRESQL, SQLITE
from tests.handlers.desk import Desk, open_desk
from tests.ledger.making import settings_for
from tests.servers.postgresql import PostgresServer


@pytest.fixture(scope="session")
def router() -> Router:
    return load_router()


@pytest.fixture(scope="session", params=[SQLITE, POSTGRESQL])
def engine(request: pytest.FixtureRequest, router: Router) -> Iterator[Engine]:  # noqa: ARG001  # imports the tables
    ledger.indexes.add_indexes()
    handlers.payments.indexes.add_indexes()
    if request.param == SQLITE:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine)
        yield engine
        engine.dispose()
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    engine = make_engine(settings_for(make_url(server.create_database("desk"))))
    metadata.create_all(engine)
    yield engine
    engine.dispose()
    server.drop_database("desk")


@pytest.fixture
def desk(engine: Engine, router: Router) -> Iterator[Desk]:
    with open_desk(engine, router) as desk:
        yield desk
