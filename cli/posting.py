"""Posts signed samples to the running service, as their providers would."""

import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.errors import NotDone
from cli.sample import Webhook
from cli.show import clean
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


class Post:
    """The way to the service: one connection, for however many samples."""

    def __init__(self, settings: "Settings", source: str, secret: Secret, client: "httpx.Client") -> None:
        self._settings = settings
        self._source = source
        self._secret = secret
        self._client = client

    def send(self, webhook: Webhook) -> Answer:
        """Sign and post one sample.

        Raises:
            NotDone: nobody answers, or not as the service would.

        """
        import httpx

        from cli.dev.readiness import base_url

        url = f"{base_url(self._settings.host, self._settings.port)}{webhook.path}"
        signature = _sign(self._source, webhook, self._secret.key)
        headers = {"content-type": webhook.content_type, "user-agent": "hookline-trigger", **signature}
        try:
            answer = self._client.post(url, content=webhook.body, headers=headers)
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

    def advice(self, answer: Answer) -> str:
        """Say what to do about an answer that is no success."""
        return _advice(answer, self._source, self._secret)


@contextmanager
def open_post(environ: Mapping[str, str], source: str) -> Iterator[Post]:
    """Open the way to the service at HOST and PORT.

    Raises:
        NotDone: the secret to sign with is not known.

    """
    import httpx

    from config.settings import load_settings

    settings = load_settings(environ)
    secret = _find_secret(settings, environ, SECRET_VARIABLES[source])
    # trust_env: a proxy meant for the outside must not see what goes to this machine.
    with httpx.Client(timeout=ANSWER_TIMEOUT_S, trust_env=False) as client:
        yield Post(settings, source, secret, client)


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


def _read(answer: "httpx.Response") -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:  # UnicodeDecodeError is one, too
        body = None
    return body if isinstance(body, dict) else {"answer": answer.text}


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
