"""`hookline trigger`: post a realistic, signed sample to the running service."""

import os
import secrets
import time
import uuid
from collections.abc import Mapping
from random import SystemRandom
from typing import Annotated

import httpx
import typer

from cli.dev.readiness import base_url
from cli.dev.secrets import read_dev_secrets
from cli.errors import NotDone
from cli.sample import BadOverride, UnknownPath, UnknownSample, Webhook, freshen, list_samples, load_sample
from cli.show import print_json
from cli.signing import sign_github, sign_slack, sign_stripe
from config.settings import Settings, load_secrets, load_settings

SECRET_VARIABLES = {
    "stripe": "STRIPE_WEBHOOK_SECRET",
    "github": "GITHUB_WEBHOOK_SECRET",
    "slack": "SLACK_SIGNING_SECRET",
}

ANSWER_TIMEOUT_S = 10.0


def trigger(
    source: Annotated[str, typer.Argument(help="stripe, github or slack.")],
    type_: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Leave it out to see which there are.")] = None,
    override: Annotated[list[str] | None, typer.Option(metavar="KEY.PATH=VALUE", help="Change the sample.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Send a signed sample webhook to the running service, as its provider would.

    Example: `hookline trigger stripe payment_intent.payment_failed --override data.object.currency=jpy`
    """
    if source not in SECRET_VARIABLES:
        raise typer.BadParameter(f"{source!r} is not a source: there are {', '.join(SECRET_VARIABLES)}")
    if type_ is None:
        print("\n".join(list_samples(source)))
        return
    settings = load_settings(os.environ)
    secret = _find_secret(settings, os.environ, SECRET_VARIABLES[source])
    webhook = _make(source, type_, override or [])
    answer = _post(settings, webhook, _sign(source, webhook, secret))
    _tell(answer, f"{source} {type_}", as_json=as_json)


def _find_secret(settings: Settings, environ: Mapping[str, str], variable: str) -> str:
    """Take the newest secret: from the environment, or from those that `hookline dev` made."""
    found = load_secrets(environ, [variable]) or load_secrets(read_dev_secrets(settings.dev_secrets_path), [variable])
    if variable not in found:
        raise NotDone(f"{variable} is not known here: set it, or start the service with `hookline dev` (`make run`)")
    return found[variable].keys[0]


def _make(source: str, type_: str, overrides: list[str]) -> Webhook:
    try:
        return freshen(load_sample(source, type_), overrides, now=time.time(), random=SystemRandom())
    except (UnknownSample, UnknownPath, BadOverride) as error:
        raise NotDone(str(error)) from None


def _sign(source: str, webhook: Webhook, secret: str) -> dict[str, str]:
    if source == "stripe":
        return sign_stripe(webhook.body, secret, time.time())
    if source == "slack":
        return sign_slack(webhook.body, secret, time.time())
    return sign_github(webhook.body, secret) | {
        "x-github-event": webhook.event_name or "",
        "x-github-delivery": str(uuid.uuid4()),
        "x-github-hook-id": str(secrets.randbelow(10**9)),
    }


def _post(settings: Settings, webhook: Webhook, signature: Mapping[str, str]) -> httpx.Response:
    url = f"{base_url(settings.host, settings.port)}{webhook.path}"
    headers = {"content-type": webhook.content_type, "user-agent": "hookline-trigger", **signature}
    try:
        # trust_env: a proxy meant for the outside must not see what goes to this machine.
        return httpx.post(url, content=webhook.body, headers=headers, timeout=ANSWER_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise NotDone(f"nothing answers at {url} ({type(error).__name__}): is `make run` running there?") from None


def _tell(answer: httpx.Response, what: str, *, as_json: bool) -> None:
    body = answer.json() if "json" in answer.headers.get("content-type", "") else {"answer": answer.text}
    if as_json:
        print_json([{"http_status": answer.status_code, **body}])
    elif answer.is_success:
        print(f"{what}: {answer.status_code} {' '.join(f'{key}={value}' for key, value in body.items())}")
    if not answer.is_success:
        raise NotDone(f"{what} was answered {answer.status_code}: {body.get('detail', answer.text)}")
