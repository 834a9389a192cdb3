"""Post to Slack, and say precisely what is known afterwards: it is there, it is not, or nobody knows."""

import errno
import re
import socket
import ssl
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from config.settings import Settings
from ledger.effects import Effect, Place

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

GONE = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message"}
)
# Errors about the message that was to be changed, or whose thread was to be added to.

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


class Gone(NotSent):
    """The message to change is not there, or may not be changed any more."""


class AnswerLost(Exception):
    """The message went out and no answer came back: Slack may have it."""


class CannotLook(Exception):
    """This token may not read the channel's history, so nobody can say whether a message is there."""


class Slack:
    """Slack's Web API, as far as posting needs it (slack_sdk 3.47)."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(self, effect: Effect) -> Place:
        """Post an effect's message, or change it where it is. Raises NotSent or AnswerLost."""
        if "user" in effect.message:
            return self._whisper(effect)
        return self._post(effect) if effect.place is None else self._update(effect, effect.place)

    def _post(self, effect: Effect) -> Place:
        answer = self._call(
            self._client.chat_postMessage,
            channel=effect.channel if effect.thread is None else effect.thread.channel_id,
            **({} if effect.thread is None else {"thread_ts": effect.thread.ts}),
            **({"reply_broadcast": True} if effect.message.get("broadcast") else {}),
            **content(effect),
            # Never let provider data unfurl: a link in a customer's name is not ours to fetch.
            unfurl_links=False,
            unfurl_media=False,
        )
        return _place(answer)

    def _update(self, effect: Effect, place: Place) -> Place:
        self._call(self._client.chat_update, channel=place.channel_id, ts=place.ts, **content(effect))
        return place

    def _whisper(self, effect: Effect) -> Place:
        """Tell one person only. Slack keeps no such message, so there is nothing to change or to look for."""
        self._call(
            self._client.chat_postEphemeral,
            channel=effect.channel,
            user=effect.message["user"],
            text=effect.message["text"],
        )
        return Place(effect.channel, "")

    def find(self, effect: Effect, channel_id: str) -> Place | None:
        """Look for an effect's message that may have been posted already.

        Raises:
            CannotLook: the token may not read this channel.
            NotSent, AnswerLost: the question itself failed.

        """
        for message in self._history(channel_id, effect.thread, oldest=effect.planned_at - 60):
            metadata = message.get("metadata") or {}
            if metadata.get("event_payload", {}).get("key") == effect.key:
                return Place(channel_id, str(message["ts"]))
        return None

    def _history(self, channel_id: str, thread: Place | None, *, oldest: float) -> Iterator[Mapping[str, Any]]:
        # What is in a thread is not in the channel's history.
        method = self._client.conversations_history if thread is None else self._client.conversations_replies
        which = {} if thread is None else {"ts": thread.ts}
        cursor: str | None = None
        for _ in range(HISTORY_PAGES):
            answer = self._call(
                method,
                channel=channel_id,
                **which,
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
    if code in GONE and "conversations" not in answer.api_url:
        return Gone(f"Slack answered {code}")
    if "conversations" in answer.api_url and code in CANNOT_LOOK | HOPELESS | GONE:
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


def _place(answer: Mapping[str, Any]) -> Place:
    channel_id, ts = answer.get("channel"), answer.get("ts")
    if not isinstance(channel_id, str) or not isinstance(ts, str):
        raise AnswerLost("Slack's answer does not say where the message is")
    return Place(channel_id, ts)


def content(effect: Effect) -> dict[str, Any]:
    """Give what a message says, as chat.postMessage and chat.update take it."""
    return {
        "text": effect.message["text"],
        "blocks": [*effect.message["blocks"], *_doubt(effect)],
        "metadata": {
            "event_type": METADATA_TYPE,
            "event_payload": {"key": effect.key, "event": str(effect.event_id)},
        },
    }


def repeats(effect: Effect) -> bool:
    """Say whether posting it now may make a second copy of it."""
    return effect.lost_answers > 0 and effect.place is None


def _doubt(effect: Effect) -> list[dict[str, Any]]:
    if not effect.may_repeat and not repeats(effect):
        return []
    text = "This may be a repeat: Slack's answer to an earlier try was lost."
    return [{"type": "context", "elements": [{"type": "plain_text", "text": text}]}]
