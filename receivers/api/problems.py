"""How the API refuses: problem+json (RFC 9457), with a sentence that says what is wrong."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

from receivers.answers import RETRY_AFTER_S

MEDIA_TYPE = "application/problem+json"

SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}

MEANINGS = {
    400: "What was sent cannot be read",
    401: "No token, or one that is not good",
    403: "The token's scopes do not include this",
    404: "There is nothing of this name; or no token exists, and with it no API",
    408: "The body was not complete in time",
    409: "It cannot be done as things stand",
    410: "It is gone: the payload was pruned",
    413: "The body is too large",
    422: "A parameter, or something in the body, cannot be used",
    429: "Too many requests without a good token came from this address; ask again after Retry-After",
    503: "The ledger does not answer right now; ask again after Retry-After",
}


def summary_of(endpoint: Callable[..., object]) -> str:
    """Give the line of the OpenAPI page for an endpoint: how its docstring begins."""
    first = (endpoint.__doc__ or "").strip().partition("\n")[0]
    return re.split("[:;.]", first)[0]


class Refused(Exception):
    """The API does not do this. The text says why."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def explain(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Refuse with a sentence."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    extra = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(content, status.value, {**(headers or {}), **extra}, media_type=MEDIA_TYPE)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare refusals for the OpenAPI page."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    return {status: {"description": MEANINGS[status], "content": content} for status in statuses}
