"""`hookline trigger`: post a realistic, signed sample to the running service."""

import os
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import NotDone
from cli.options import Json
from cli.sample import BadOverride, UnknownPath, UnknownSample, Webhook, freshen, list_samples, load_sample
from cli.show import clean, print_json, write
from cli.signing import sign_github, sign_slack, sign_stripe

if TYPE_CHECKING:
    import httpx

    from config.settings import Settings

# ruff: noqa: PLC0415  # the HTTP client and the settings are imported when they are needed: `--help` starts without

SECRET_VARIABLES = {
    "stripe": "STRIPE_WEBHOOK_SECRET",
    "github": "GITHUB_WEBHOOK_SECRET",
    "slack": "SLACK_SIGNING_SECRET",
}

ANSWER_TIMEOUT_S = 10.0

MAX_DETAIL_CHARS = 200
# Something else may listen there, and answer with a page.


@dataclass(frozen=True, slots=True)
class Secret:
    """What to sign with, and where it was found."""

    key: str
    found_in: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said: its JSON object, or its text as `answer`."""

    status: int
    body: Mapping[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  # that is what 2xx means


def trigger(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="stripe, github or slack. Without it, lists every sample.")
    ] = None,
    type_: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="A sample's type. Without it, lists the source's samples.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY.PATH=VALUE", help="Change the sample; may be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Send a signed sample webhook to the running service, as its provider would.

    Every one has new ids and the time of now. It goes to HOST and PORT, signed
    with the secret that is set in this shell, or the one `hookline dev` made.

    Examples:
      hookline trigger
      hookline trigger stripe
      hookline trigger stripe charge.dispute.created
      hookline trigger stripe payment_intent.payment_failed \
        --override data.object.amount=500 --override data.object.currency=jpy
      hookline trigger github workflow_run.completed
      hookline trigger slack slash_command --override text=status
    """
    if source is not None and source not in SECRET_VARIABLES:
        raise typer.BadParameter(f"{source!r} is not a source: there are {', '.join(SECRET_VARIABLES)}")
    if source is None or type_ is None:
        _list_samples([source] if source else list(SECRET_VARIABLES), as_json=as_json)
        return
    webhook = _make(source, type_, override or [])
    from config.settings import load_settings

    settings = load_settings(os.environ)
    secret = _find_secret(settings, os.environ, SECRET_VARIABLES[source])
    answer = _post(settings, webhook, _sign(source, webhook, secret.key))
    _tell(answer, source, type_, as_json=as_json)
    if not answer.accepted:
        raise NotDone(f"{source} {type_} was answered {answer.status}: {_advice(answer, source, secret)}")


def _list_samples(sources: Sequence[str], *, as_json: bool) -> None:
    samples = [(source, type_) for source in sources for type_ in list_samples(source)]
    if as_json:
        print_json({"source": source, "type": type_} for source, type_ in samples)
    elif len(sources) == 1:
        write("".join(f"{type_}\n" for _, type_ in samples))
    else:
        write("".join(f"{source} {type_}\n" for source, type_ in samples))


def _make(source: str, type_: str, overrides: Sequence[str]) -> Webhook:
    try:
        return freshen(load_sample(source, type_), overrides, now=time.time(), random=SystemRandom())
    except (UnknownSample, UnknownPath) as error:
        raise NotDone(str(error)) from None
    except BadOverride as error:
        raise typer.BadParameter(str(error), param_hint="--override") from None


def _find_secret(settings: "Settings", environ: Mapping[str, str], variable: str) -> Secret:
    """Take the newest secret: from the environment, or from those that `hookline dev` made."""
    from cli.dev.secrets import read_dev_secrets
    from config.settings import load_secrets

    path = settings.dev_secrets_path
    if variable in environ:
        return Secret(load_secrets(environ, [variable])[variable].keys[0], "this shell")
    try:
        kept = load_secrets(read_dev_secrets(path), [variable])
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be read ({error}): set {variable} to the service's secret") from None
    if variable not in kept:
        raise NotDone(
            f"the secret to sign with is not known: set {variable} to the one that the service has, or start the "
            f"service with `hookline dev` (`make run`), which keeps one in {path}"
        )
    return Secret(kept[variable].keys[0], str(path))


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


def _post(settings: "Settings", webhook: Webhook, signature: Mapping[str, str]) -> Answer:
    import httpx

    from cli.dev.readiness import base_url

    url = f"{base_url(settings.host, settings.port)}{webhook.path}"
    headers = {"content-type": webhook.content_type, "user-agent": "hookline-trigger", **signature}
    try:
        # trust_env: a proxy meant for the outside must not see what goes to this machine.
        answer = httpx.post(url, content=webhook.body, headers=headers, timeout=ANSWER_TIMEOUT_S, trust_env=False)
    except httpx.ConnectError:
        raise NotDone(
            f"nothing listens at {url}: start the service with `hookline dev` (`make run`), "
            "or set HOST and PORT to where it is"
        ) from None
    except httpx.TimeoutException:
        raise NotDone(f"no answer from {url} within {ANSWER_TIMEOUT_S:.0f} s: see what the service says") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDone(f"{url} does not answer as the service would ({error}): are HOST and PORT right?") from None
    return Answer(answer.status_code, _read(answer))


def _read(answer: "httpx.Response") -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:  # UnicodeDecodeError is one, too
        body = None
    return body if isinstance(body, dict) else {"answer": answer.text}


def _tell(answer: Answer, source: str, type_: str, *, as_json: bool) -> None:
    if as_json:
        print_json([{"source": source, "type": type_, "http_status": answer.status, **answer.body}])
    elif answer.accepted:
        write(f"{source} {type_}: {answer.status}{_said(answer.body)}\n")


def _said(body: Mapping[str, Any]) -> str:
    """Write what a 2xx says: a receipt, a text for Slack, a challenge, or nothing."""
    if "event" in body:
        return f" {body.get('status')}, event {body['event']}"
    lines = str(body.get("text") or body.get("challenge") or body.get("answer") or "").splitlines()
    before = "\n  " if len(lines) > 1 else " "
    return "".join(f"{before}{clean(line)}" for line in lines)


def _advice(answer: Answer, source: str, secret: Secret) -> str:
    variable = SECRET_VARIABLES[source]
    if answer.status == 401:  # noqa: PLR2004  # HTTP's own numbers are names here
        return (
            f"the service has another {variable} than {secret.found_in}. Set it to the service's, "
            "or HOOKLINE_DATA_DIR to the service's; `hookline requests list` says what it saw"
        )
    if answer.status == 404:  # noqa: PLR2004
        return f"the service runs without {variable}, or something else listens there (HOST, PORT)"
    if answer.status == 503:  # noqa: PLR2004
        return "the service cannot write to its ledger right now, or is busy: try again, and see what it says"
    detail = answer.body.get("detail") or answer.body.get("title") or answer.body.get("answer") or "no reason given"
    return clean(" ".join(str(detail).split()))[:MAX_DETAIL_CHARS]
