"""The web process: `uvicorn receivers.app:create_app --factory`."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from config.broker import make_broker
from config.database import database_url, make_engine
from config.errors import ConfigError, InvalidSettings
from config.logs import configure_logs
from config.settings import Settings, SourceSecrets, load_secrets, load_settings
from handlers.router import load_router
from ledger.announce import Announcer
from ledger.migrate import check_migrated
from ledger.rejections import RejectionLog
from ledger.store import Ledger
from ledger.writer import Writer
from receivers.answers import Answers, problem
from receivers.body import Budget
from receivers.health import Health
from receivers.intake import Intake
from receivers.provider import Provider
from receivers.providers import load_providers

REFUSALS: dict[int | str, dict[str, object]] = {
    401: {"description": "The signature is absent, wrong, or too old"},
    404: {"description": "This source is not configured"},
    408: {"description": "The body was not complete in time"},
    413: {"description": "The body is too large"},
    415: {"description": "A content type or encoding that this source never sends"},
    503: {"description": "The event cannot be made durable right now; send it again after Retry-After"},
}


def create_app() -> FastAPI:
    """Build the app from the environment. Ends the process with one sentence if it cannot be built."""
    try:
        return make_app(os.environ)
    except ConfigError as error:
        sys.exit(f"hookline: {' '.join(str(error).split())}")


def make_app(environ: Mapping[str, str]) -> FastAPI:
    """Wire the app. Starts nothing yet; raises ConfigError."""
    settings = load_settings(environ)
    configure_logs(development=settings.hookline_dev)
    providers = load_providers()
    secrets = load_secrets(environ, [provider.secret_variable for provider in providers])
    _require_a_source(providers, secrets)
    return _assemble(settings, providers, secrets)


def _require_a_source(providers: tuple[Provider, ...], secrets: Mapping[str, SourceSecrets]) -> None:
    if not secrets:
        variables = sorted({provider.secret_variable for provider in providers})
        raise InvalidSettings([f"no source has a secret: set one or more of {', '.join(variables)}"])


def _assemble(settings: Settings, providers: tuple[Provider, ...], secrets: Mapping[str, SourceSecrets]) -> FastAPI:
    engine = make_engine(database_url(settings))
    check_migrated(engine)
    ledger = Ledger(engine)
    announcer = Announcer(make_broker(settings))
    writer = Writer(ledger, on_commit=announcer.ring)
    rejections = RejectionLog(ledger)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        announcer.start()
        writer.start()
        rejections.start()
        yield
        # In the order of the way: nothing that was accepted is left on it.
        writer.stop()
        announcer.stop()
        rejections.stop()
        ledger.close()

    # No redirects to a path without its last slash: they go where the Host header says, and no provider follows them.
    app = FastAPI(title="Hookline", summary="Verified webhooks in.", lifespan=lifespan, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _as_problem)
    router, answers, budget = load_router(), Answers(ledger), Budget()
    for provider in providers:
        keys = secrets[provider.secret_variable].keys if provider.secret_variable in secrets else ()
        intake = Intake(
            provider,
            keys,
            router=router,
            writer=writer,
            answers=answers,
            rejections=rejections,
            budget=budget,
        )
        _add_webhook(app, provider, intake)
    health = Health(writer)
    app.add_api_route("/healthz", health.alive, methods=["GET"], response_model=None, tags=["health"])
    app.add_api_route("/readyz", health.ready, methods=["GET"], response_model=None, tags=["health"])
    return app


def _add_webhook(app: FastAPI, provider: Provider, intake: Intake) -> None:
    app.add_api_route(
        provider.path,
        intake.receive,
        methods=["POST"],
        response_model=None,
        tags=["webhooks"],
        name=provider.path.removeprefix("/webhooks/"),
        summary=f"Receive what {provider.source.title()} posts",
        responses=REFUSALS,
    )


async def _as_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem(HTTPStatus(error.status_code), dict(error.headers or {}))
