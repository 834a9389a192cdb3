"""The web process of this machine, asked as a load balancer asks."""

from collections.abc import Iterator
from http import HTTPStatus

import httpx

from cli.dev.readiness import ANSWER_TIMEOUT_S, ANY_ADDRESS, base_url
from cli.doctor.finding import Finding, ok, problem, warning
from cli.doctor.installation import Installation

WEB = "web"


def check_web(installation: Installation) -> Iterator[Finding]:
    """Ask /readyz."""
    settings = installation.settings
    url = f"{base_url(settings.host, settings.port)}/readyz"
    try:
        status = httpx.get(url, timeout=ANSWER_TIMEOUT_S, trust_env=False).status_code
    except httpx.ConnectError:
        fix = "start it (the Procfile's line `web`, or `hookline dev`), or set HOST and PORT to where it listens"
        yield warning(WEB, f"nothing listens at {url}; all well if the web processes run elsewhere", fix)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield problem(WEB, f"{url} does not answer: {type(error).__name__}", "see its log; start it again if it hangs")
    else:
        yield _judge(url, status, everywhere=settings.host in ANY_ADDRESS)


def _judge(url: str, status: int, *, everywhere: bool) -> Finding:
    note = "; it listens on all addresses: TLS and a proxy belong before it" if everywhere else ""
    if status == HTTPStatus.OK:
        return ok(WEB, f"{url} is ready{note}")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return problem(WEB, f"{url} answers 503: it cannot commit", "see the ledger's lines; providers try again")
    return problem(WEB, f"{url} answers {status}: is this Hookline?", "set HOST and PORT to where it listens")
