"""Whatever the API is sent, it answers as its OpenAPI page declares, and never with a 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.ledger.making import new_event, store
from tests.receivers.http.api.house import House

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

EXAMPLES = 8
# For each of the operations, valid ones and others.


@pytest.fixture(scope="module")
def schema(house: House) -> schemathesis.BaseSchema:
    """What the OpenAPI page says, of a service that has something to show."""
    store(house.ledger, *(new_event(key=f"evt_{number}") for number in range(3)))
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{house.server.port}/openapi.json").include(
        path_regex="^/api/"
    )


def test_every_answer_is_a_declared_one(house: House, schema: schemathesis.BaseSchema) -> None:
    headers = {"authorization": f"Bearer {house.token('read', 'payload', 'replay', 'admin')}"}
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) == 22
    for operation in operations:
        strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(case=st.one_of(strategies))
        def conforms(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS, excluded_checks=[ignored_auth])

        conforms()
