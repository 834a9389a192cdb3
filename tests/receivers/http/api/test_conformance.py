"""Whatever the API is sent, it answers as its OpenAPI page declares, and never with a 500."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from handlers.router import load_router
from tests.examples import examples
from tests.handlers.desk import Desk
from tests.handlers.payments.test_objects import PAYMENT
from tests.ledger.making import new_event, store
from tests.receivers.http.api.house import House

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

KNOWN: dict[str, dict[str, Any]] = {
    "/events/{event}": {"path_parameters": {"event": "1"}},
    "/payments/{object}": {"path_parameters": {"object": "pi_3SAMPLE0000"}},
    "/payments/summary": {"query": {"since": "2026-01-01", "until": "2030-01-01"}},
    "/stats": {"query": {"since": "1970-01-01"}},
}
# What nobody guesses.

EXAMPLES = 5
# For each of the operations, valid ones and others.


@pytest.fixture(scope="module")
def schema(house: House) -> schemathesis.BaseSchema:
    """What the OpenAPI page says, of a service that has something to show."""
    store(house.ledger, *(new_event(key=f"evt_{number}") for number in range(3)))
    with house.ledger.write() as db:
        desk = Desk(db, load_router())
        for each in PAYMENT:
            desk.deliver(each)
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{house.server.port}/openapi.json").include(
        path_regex="^/api/"
    )


def test_every_answer_is_a_declared_one(house: House, schema: schemathesis.BaseSchema) -> None:
    house.token("read")  # whose id is 1: what tries to end tokens by guessing begins there
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) == 27
    for operation in operations:
        headers = {"authorization": f"Bearer {house.token('read', 'payload', 'replay', 'admin')}"}
        check(operation, headers)
        for path, its in KNOWN.items():
            if operation.path.startswith(f"/api/v1{path}"):
                known = operation.Case(**its).call_and_validate(headers=headers, checks=CHECKS)
                assert known.status_code == HTTPStatus.OK


def check(operation: Any, headers: Mapping[str, str]) -> None:
    @examples(
        EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def conforms(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS, excluded_checks=[ignored_auth])

    conforms()
