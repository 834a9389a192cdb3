"""Post to Slack, and say precisely what is known afterwards: it is there, it is not, or nobody knows."""

import errno
import re
import socket
import ssl
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from config.settings import Settings
from ledger.effects import Effect

ANSWER_TIMEOUT_S = 5
METADATA_TYPE = "hookline_effect"
HISTORY_PAGE = 200
HISTORY_PAGES = 3
# A message that is not among the latest 600 since it was planned is not looked for: with each page taking as long
# as Slack may take, the search still ends before `workers.watch` takes it for stuck.

DEFAULT_WAIT_S = 30.0
MAX_WAIT_S = 3_600.0

ERROR_CODE = re.compile(r"[a-z0-9_]{1,100}")

HOPELESS = frozenset(
    {
        "invalid_arguments",
        "invalid_array_arg",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "markdown_text_conflict",
        "metadata_must_be_sent_from_app",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    },
)
# Slack's errors about the message itself (chat.postMessage's reference). All others are about us, the channel or
# Slack, and heal when a person or Slack mends them: those are tried again.

CANNOT_LOOK = frozenset(
    {"missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type", "no_permission"}
)


class NotSent(Exception):
    """Slack does not have the message."""


class Busy(NotSent):
    """Slack asks to wait `after_s` seconds (429)."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"Slack asked to wait {after_s:g} s")
        self.after_s = after_s


class Refused(NotSent):
    """Slack will never take this message."""


class Failed(NotSent):
    """Slack did not take the message now; trying again can help."""


class AnswerLost(Exception):
    """The message went out and no answer came back: Slack may have it."""


class CannotLook(Exception):
    """This token may not read the channel's history, so nobody can say whether a message is there."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is: Slack's id of the channel, and of the message in it."""

    channel_id: str
    ts: str


class Slack:
    """Slack's Web API, as far as posting needs it (slack_sdk 3.47)."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(self, effect: Effect) -> Posted:
        """Post an effect's message. Raises NotSent or AnswerLost."""
        answer = self._call(
            self._client.chat_postMessage,
            channel=effect.channel,
            text=effect.message["text"],
            blocks=[*effect.message["blocks"], *_doubt(effect)],
            # Never let provider data unfurl: a link in a customer's name is not ours to fetch.
            unfurl_links=False,
            unfurl_media=False,
            metadata={
                "event_type": METADATA_TYPE,
                "event_payload": {"key": effect.key, "event": str(effect.event_id)},
            },
        )
        return _posted(answer)

    def find(self, effect: Effect, channel_id: str) -> Posted | None:
        """Look for an effect's message that may have been posted already.

        Raises:
            CannotLook: the token may not read this channel.
            NotSent, AnswerLost: the question itself failed.

        """
        for message in self._history(channel_id, oldest=effect.planned_at - 60):
            metadata = message.get("metadata") or {}
            if metadata.get("event_payload", {}).get("key") == effect.key:
                return Posted(channel_id, str(message["ts"]))
        return None

    def _history(self, channel_id: str, *, oldest: float) -> Iterator[Mapping[str, Any]]:
        cursor: str | None = None
        for _ in range(HISTORY_PAGES):
            answer = self._call(
                self._client.conversations_history,
                channel=channel_id,
                oldest=f"{oldest:.6f}",
                limit=HISTORY_PAGE,
                include_all_metadata=True,
                cursor=cursor,
            )
            yield from answer.get("messages", [])
            cursor = answer.get("response_metadata", {}).get("next_cursor")
            if not cursor:
                return

    def _call(self, method: Callable[..., SlackResponse], **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        try:
            answer = method(**arguments)
        except SlackApiError as error:
            raise _meaning(error) from None
        except Exception as error:  # noqa: BLE001  # the SDK lets through whatever its parts raise on a broken answer
            if _never_left(error):
                raise Failed(f"Slack cannot be reached: {_reason(error)}") from None
            raise AnswerLost(f"Slack's answer was lost: {_reason(error)}") from None
        if not isinstance(answer.data, dict):
            raise AnswerLost("Slack's answer was not an object")
        return answer.data


def make_slack(settings: Settings) -> Slack | None:
    """Make the client, or None where there is no token. The SDK's own retries are off: the ledger has them."""
    if settings.slack_bot_token is None:
        return None
    return Slack(
        WebClient(
            token=settings.slack_bot_token.get_secret_value(),
            base_url=settings.slack_api_url,
            timeout=ANSWER_TIMEOUT_S,
            retry_handlers=[],
        ),
    )


def _meaning(error: SlackApiError) -> Exception:
    answer = error.response
    status, code = answer.status_code, answer.data.get("error") if isinstance(answer.data, dict) else None
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in ("ratelimited", "rate_limited"):
        return Busy(_retry_after(answer.headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed(f"Slack answered {status}")
    if not isinstance(code, str) or not ERROR_CODE.fullmatch(code):
        return AnswerLost(f"Slack answered {status} with something that is no answer")
    if "history" in answer.api_url and code in CANNOT_LOOK | HOPELESS:
        return CannotLook(code)  # the question is refused, not the message
    return Refused(f"Slack refused it: {code}") if code in HOPELESS else Failed(f"Slack answered {code}")


def _retry_after(headers: Mapping[str, Any]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value).strip()
            if text.isascii() and text.isdigit():
                return min(max(float(text), 1.0), MAX_WAIT_S)
    return DEFAULT_WAIT_S


def _never_left(error: Exception) -> bool:
    """Say whether the request surely did not reach Slack: no address, no way, nobody listening, no trust."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError):
        return True
    return isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def _reason(error: Exception) -> str:
    return type(error.reason if isinstance(error, urllib.error.URLError) else error).__name__


def _posted(answer: Mapping[str, Any]) -> Posted:
    channel_id, ts = answer.get("channel"), answer.get("ts")
    if not isinstance(channel_id, str) or not isinstance(ts, str):
        raise AnswerLost("Slack's answer does not say where the message is")
    return Posted(channel_id, ts)


def _doubt(effect: Effect) -> list[dict[str, Any]]:
    if not effect.lost_answers:
        return []
    text = "This may be a repeat: Slack's answer to an earlier try was lost."
    return [{"type": "context", "elements": [{"type": "plain_text", "text": text}]}]
