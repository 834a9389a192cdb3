"""A ledger in memory, with the book in it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, StaticPool, create_engine

from handlers.router import Router, load_router
from ledger.tables import metadata
from tests.handlers.desk import Desk, open_desk


@pytest.fixture(scope="session")
def router() -> Router:
    return load_router()


@pytest.fixture(scope="session")
def engine(router: Router) -> Iterator[Engine]:  # noqa: ARG001  # it has imported the handlers' tables
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(engine: Engine, router: Router) -> Iterator[Desk]:
    with open_desk(engine, router) as desk:
        yield desk
