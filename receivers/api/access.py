"""Who asks, and whether they may."""

from http import HTTPStatus
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from ledger.audit import By
from ledger.tokens import Bearer, Scope
from receivers.api.gate import BEARER
from receivers.api.problems import Refused


def bearer_of(request: Request) -> Bearer:
    """Say who asks. The gate has let them in."""
    bearer: Bearer = request.scope[BEARER]
    return bearer


def by(request: Request, reason: str | None = None) -> By:
    """Say who does it, for the audit log."""
    return By(who=bearer_of(request).name, via="api", reason=reason)


def needs(scope: Scope) -> Any:  # noqa: ANN401  # what Depends gives is for FastAPI alone
    """Make a dependency that refuses whoever does not have this scope."""

    def check(request: Request) -> None:
        if scope not in bearer_of(request).scopes:
            raise Refused(HTTPStatus.FORBIDDEN, f"This needs a token with the scope {scope}.")

    return Depends(check)
