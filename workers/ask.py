"""Ask Stripe's API, and say precisely what an unwelcome answer means: never, not now, or nobody knows."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from handlers.errors import GiveUp, RetryLater

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

# ruff: noqa: PLC0415  # all of Stripe's SDK takes a quarter of a second to import, and few workers ask

ANSWER_TIMEOUT_S = 10
DEFAULT_WAIT_S = 5.0
MAX_WAIT_S = 3_600.0

CODE = re.compile(r"[a-z0-9_]{1,100}")


class NoAnswer(Exception):
    """Stripe did not answer, or not as it should; trying again can help."""


class Unknown(GiveUp):
    """Stripe does not have what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Stripe said.

    Attributes:
        body: the bytes of a JSON object.
        at: when, by Stripe's clock, in Unix seconds.

    """

    body: bytes
    at: int

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise NoAnswer("Stripe's answer is not an object")
        return value


class Stripe:
    """Stripe's API, as far as look-ups need it (stripe-python 16.1.0)."""

    def __init__(self, client: "StripeClient") -> None:
        self._client = client

    def get(
        self, path: str, *, account: str | None = None, context: str | None = None, expand: Sequence[str] = ()
    ) -> Answer:
        """Get one object.

        Args:
            path: behind Stripe's address.
            account: the connected account that has it.
            context: the same as thin events name it.
            expand: what to put in whole where otherwise its id is.

        Raises:
            GiveUp: Stripe will never answer this; `Unknown` where it does not have it.
            RetryLater: Stripe asks to wait.
            NoAnswer: it may answer another time.

        """
        from stripe import StripeError

        whose = {name: value for name, value in (("stripe_account", account), ("stripe_context", context)) if value}
        parameters = {"expand": list(expand)} if expand else {}
        try:
            answer = self._client.raw_request("get", path, **parameters, **whose)
        except StripeError as error:
            raise _meaning(error) from None
        except (OSError, ValueError) as error:  # what a broken answer brings out of the SDK's parts
            raise NoAnswer(f"Stripe's answer cannot be read: {type(error).__name__}") from None
        body = answer.body
        return Answer(body=body.encode() if isinstance(body, str) else body, at=_date(answer.headers))


def make_stripe(settings: Settings) -> Stripe | None:
    """Make the client, or None where there is no key. The SDK's own retries are off: the ledger has them."""
    if settings.stripe_api_key is None:
        return None
    from stripe import RequestsClient, StripeClient

    return Stripe(
        StripeClient(
            settings.stripe_api_key.get_secret_value(),
            base_addresses={"api": settings.stripe_api_url},
            http_client=RequestsClient(timeout=ANSWER_TIMEOUT_S),
            max_network_retries=0,
        )
    )


def _meaning(error: "StripeError") -> Exception:
    from stripe import APIConnectionError, InvalidRequestError, RateLimitError

    code = error.code if isinstance(error.code, str) and CODE.fullmatch(error.code) else None
    said = f"Stripe answered {error.http_status}{f' ({code})' if code else ''}"
    if isinstance(error, APIConnectionError):
        return NoAnswer("Stripe cannot be reached")
    if isinstance(error, RateLimitError):
        return RetryLater(f"{said}: too many questions", after_s=_retry_after(error.headers))
    if error.http_status == 404:  # noqa: PLR2004  # not found
        return Unknown(f"{said}: it does not have this any more, or the key is another account's or mode's")
    if isinstance(error, InvalidRequestError):
        return GiveUp(said)
    return NoAnswer(said)  # about us or about Stripe: it heals when a person or Stripe mends it


def _retry_after(headers: Mapping[str, str] | None) -> float:
    text = next((value for name, value in (headers or {}).items() if name.lower() == "retry-after"), "")
    known = text.isascii() and text.isdigit()
    return min(max(float(text), 1.0), MAX_WAIT_S) if known else DEFAULT_WAIT_S


def _date(headers: Mapping[str, str]) -> int:
    text = next((value for name, value in headers.items() if name.lower() == "date"), None)
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else int(time.time())
    except ValueError:
        return int(time.time())
