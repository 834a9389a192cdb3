"""The web process: `uvicorn receivers.app:create_app --factory`."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from zoneinfo import ZoneInfo

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from config.database import make_engine
from config.errors import ConfigError, InvalidRules, InvalidSettings
from config.logs import configure_logs
from config.metrics import make_metrics
from config.rules import rules_of
from config.settings import Settings, SourceSecrets, load_secrets, load_settings
from config.traces import make_traces
from config.turns import interrupt_nobody
from handlers.router import load_router
from ledger.gauges import Gauges
from ledger.large import LargeWriter
from ledger.migrate import check_migrated
from ledger.rejections import RejectionLog
from ledger.store import Ledger
from ledger.writer import Writer, hire_process
from receivers.answers import Answers, problem
from receivers.apart import Apart
from receivers.api.api import add_api
from receivers.body import Budget
from receivers.ending import Ending, end_in_time
from receivers.front import Front
from receivers.health import Health
from receivers.intake import Intake
from receivers.metrics import BrokerProbe, MetricsPage
from receivers.provider import Provider
from receivers.providers import load_providers

LAST_ANSWERS_S = 0.1
# What uvicorn has cancelled at the end of its patience still gets its 503.

WRITER_STOP_S = 2.5
STOP_S = 1.0
# For the process that writes, and for each thread. Nobody waits for them any more: what they hold was not answered with
# a 2xx, or is rung for by the sweeper.

PATIENCE_S = 5.0
# For one statement, as where events are written (`ledger.writing`): nobody waits for longer.

API_PATIENCE_S = 10.0
# For one statement of the HTTP API. It has connections of its own.

API_TURN_S = 5.0
# How long a write of the HTTP API waits while others write to SQLite.

REFUSALS: dict[int | str, dict[str, object]] = {
    401: {"description": "The signature is absent, wrong, or too old"},
    404: {"description": "This source is not configured"},
    408: {"description": "The body was not complete in time"},
    413: {"description": "The body is too large"},
    415: {"description": "A content type or encoding that this source never sends"},
    503: {"description": "The event cannot be made durable right now; send it again after Retry-After"},
}

log = structlog.get_logger()


def create_app() -> FastAPI:
    """Build the app from the environment. Ends the process with one sentence if it cannot be built."""
    interrupt_nobody()
    try:
        return make_app(os.environ, at_once=True)
    except ConfigError as error:
        sys.exit(f"hookline: {' '.join(str(error).split())}")


def make_app(environ: Mapping[str, str], *, at_once: bool = False) -> FastAPI:
    """Wire the app. Raises ConfigError.

    Args:
        environ: the environment.
        at_once: this process is going to run the app: start the one that writes now, while the rest is being made.
            Otherwise nothing is started yet.

    """
    settings = load_settings(environ)
    configure_logs(development=settings.hookline_dev)
    providers = load_providers()
    secrets = load_secrets(environ, [provider.secret_variable for provider in providers])
    _require_a_source(providers, secrets)
    return _assemble(settings, providers, secrets, environ, at_once=at_once)


def _require_a_source(providers: tuple[Provider, ...], secrets: Mapping[str, SourceSecrets]) -> None:
    if not secrets:
        variables = sorted({provider.secret_variable for provider in providers})
        raise InvalidSettings([f"no source has a secret: set one or more of {', '.join(variables)}"])


def _assemble(
    settings: Settings,
    providers: tuple[Provider, ...],
    secrets: Mapping[str, SourceSecrets],
    environ: Mapping[str, str],
    *,
    at_once: bool,
) -> FastAPI:
    engine = make_engine(settings, patience_s=PATIENCE_S)
    check_migrated(engine)
    ledger = Ledger(engine)
    api_ledger = Ledger(make_engine(settings, patience_s=API_PATIENCE_S), turn_patience_s=API_TURN_S)
    metrics = make_metrics(settings, secrets=_secret_counts(providers, secrets))
    traces = make_traces(settings)
    writer = Writer(partial(hire_process, environ), metrics=metrics)
    if at_once:
        writer.hire()
    large, apart = LargeWriter(ledger, writer), Apart()
    rejections = RejectionLog(ledger)
    ending = Ending(drain_s=settings.hookline_drain_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Ending]]:
        ending.listen()
        await writer.start()
        rejections.start()
        gc.freeze()  # all that was imported: to look through it again and again for garbage takes 5 % of a busy loop
        yield {"ending": ending}  # to each connection (receivers/protocol.py)
        end_in_time()
        await asyncio.sleep(LAST_ANSWERS_S)
        # In the order of the way: nothing that was accepted is left on it.
        large.stop()
        apart.stop()
        await writer.stop(WRITER_STOP_S)
        rejections.stop(STOP_S)
        ledger.close()
        api_ledger.close()
        traces.stop()

    # No redirects to a path without its last slash: they go where the Host header says, and no provider follows them.
    # No pages of the API either: FastAPI's load their scripts from elsewhere. /openapi.json is what they are made of.
    app = Front(
        title="Hookline",
        summary="Verified webhooks in.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(HTTPException, _as_problem)
    answers = Answers(ledger, allowed_users=settings.allowed_users, zone=_zone_of(settings))
    router, budget = load_router(), Budget()
    for provider in providers:
        provider.prepare()
        keys = secrets[provider.secret_variable].keys if provider.secret_variable in secrets else ()
        intake = Intake(
            provider,
            keys,
            router=router,
            writer=writer,
            large=large,
            apart=apart,
            answers=answers,
            rejections=rejections,
            budget=budget,
            metrics=metrics,
            traces=traces,
        )
        _add_webhook(app, provider, intake)
        app.let_through(provider.path, intake.receive)
    configured = {provider.source: provider.secret_variable in secrets for provider in providers}
    add_api(app, api_ledger, router.by_name, settings, configured=configured)
    health = Health(writer, ending)
    for path, endpoint, summary in (
        ("/healthz", health.alive, "Say that the process lives"),
        ("/readyz", health.ready, "Say whether a commit is possible"),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], response_model=None, tags=["health"], summary=summary)
    page = MetricsPage(metrics, Gauges(settings, ledger, BrokerProbe(settings)))
    app.add_api_route(
        "/metrics",
        page.show,
        methods=["GET"],
        response_class=PlainTextResponse,
        response_model=None,
        tags=["health"],
        summary="Give the figures for Prometheus",
    )
    return app


def _zone_of(settings: Settings) -> ZoneInfo:
    """Give the time zone of the rules for alerts. Rules that cannot be used stop no webhook: workers complain."""
    try:
        return rules_of(settings).zone
    except InvalidRules as error:
        log.warning("rules for alerts cannot be used", error=str(error), instead="UTC for slash commands")
        return ZoneInfo("UTC")


def _secret_counts(providers: tuple[Provider, ...], secrets: Mapping[str, SourceSecrets]) -> dict[str, int]:
    """Say how many secrets each source has."""
    known = {variable: len(each.keys) for variable, each in secrets.items()}
    return {provider.source: known.get(provider.secret_variable, 0) for provider in providers}


def _add_webhook(app: FastAPI, provider: Provider, intake: Intake) -> None:
    async def receive(request: Request) -> Response:
        return await intake.receive(request.scope, request.receive)

    app.add_api_route(
        provider.path,
        receive,
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
