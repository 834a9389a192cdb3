"""Slack: does it know our token, and may we do what we do?"""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from cli.doctor import clock
from cli.doctor.finding import Finding, ok, problem, warning
from cli.doctor.installation import Installation

SLACK = "slack"

ANSWER_TIMEOUT_S = 5

POST = "chat:write"
LOOK = ("channels:history", "groups:history")


def check_slack(installation: Installation) -> Iterator[Finding]:
    """Ask Slack who we are."""
    settings = installation.settings
    token = settings.slack_bot_token
    if token is None:
        found = "SLACK_BOT_TOKEN is unset: alerts are shown on the console, kept and not sent"
        fix = f"set SLACK_BOT_TOKEN to the app's bot token (xoxb-…, scopes {POST} and {LOOK[0]})"
        yield ok(SLACK, found) if installation.is_development else warning(SLACK, found, fix)
        return
    client = WebClient(
        token=token.get_secret_value(), base_url=settings.slack_api_url, timeout=ANSWER_TIMEOUT_S, retry_handlers=[]
    )
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        yield _refused(error)
    except Exception as error:  # noqa: BLE001  # the SDK lets through whatever its parts raise on a broken answer
        found = f"no answer from {settings.slack_api_url}: {type(error).__name__}"
        yield problem(SLACK, found, "see whether this machine may call Slack; until then, effects wait")
    else:
        data = answer.data if isinstance(answer.data, dict) else {}
        headers = {str(name).lower(): value for name, value in answer.headers.items()}
        yield from _known(installation, data, headers)


def _refused(error: SlackApiError) -> Finding:
    data = error.response.data
    code = data.get("error") if isinstance(data, dict) else None
    fix = "set SLACK_BOT_TOKEN to the bot token that Slack shows at the app's OAuth & Permissions (xoxb-…)"
    return problem(SLACK, f"Slack answered {code or error.response.status_code} to our token", fix)


def _known(installation: Installation, answer: Mapping[str, Any], headers: Mapping[str, Any]) -> Iterator[Finding]:
    settings = installation.settings
    posts_to = f"{settings.slack_finance_channel} and {settings.slack_engineering_channel}"
    yield ok(SLACK, f"{answer.get('user', '?')} in {answer.get('team', '?')}; posts to {posts_to}, invite it to both")
    yield from _check_scopes(_text(headers.get("x-oauth-scopes")))
    if date := _text(headers.get("date")):
        yield clock.judge("Slack's", time.time() - parsedate_to_datetime(date).timestamp())


def _check_scopes(spelled: str) -> Iterator[Finding]:
    scopes = {each.strip() for each in spelled.split(",") if each.strip()}
    if not scopes:
        return  # a server that does not say
    fix = "add it at the app's OAuth & Permissions, and install the app again"
    if POST not in scopes:
        yield problem("slack scopes", f"{POST} is missing: nothing can be posted", fix)
    elif not scopes & set(LOOK):
        found = f"{LOOK[0]} is missing: when an answer of Slack's is lost, nobody can look whether the message is there"
        yield warning("slack scopes", f"{found}, and it may be posted twice", fix)
    else:
        yield ok("slack scopes", ", ".join(sorted(scopes & {POST, *LOOK})))


def _text(value: object) -> str:
    """Give a header's value: the SDK has lists of them."""
    return str(value[0]) if isinstance(value, list) and value else str(value or "")
