"""What we say to a sender: a receipt, what Slack wants to show, or a problem (RFC 9457)."""

import asyncio
from collections.abc import Collection
from http import HTTPStatus
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from handlers.commands.answer import answer_command
from handlers.commands.asker import Asker
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt, Unreadable, read_payload
from ledger.store import Ledger
from receivers.ok import Ok
from receivers.provider import Reply

RETRY_AFTER_S = 5

COMMAND_TIMEOUT_S = 0.8
# With the time that the commit may take, under the 3 s after which Slack tells its user that we failed.

DETAILS = {
    HTTPStatus.UNAUTHORIZED: "The signature is absent, wrong, or too old.",
    HTTPStatus.NOT_FOUND: "Nothing is received at this path.",
    HTTPStatus.REQUEST_TIMEOUT: "The body was not complete in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this source may send.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "This content type or encoding is not one that this source sends.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The event cannot be made durable right now. Send it again later.",
}

log = structlog.get_logger()


def problem(status: HTTPStatus, headers: dict[str, str] | None = None) -> Response:
    """Refuse. The answer is the same for each reason behind one status, so that nobody can probe with it."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value}
    if status in DETAILS:
        content["detail"] = DETAILS[status]
    extra = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if status == HTTPStatus.REQUEST_TIMEOUT:
        extra["Connection"] = "close"  # the rest of the body may still come, and would be read as a request
    return JSONResponse(content, status.value, (headers or {}) | extra, media_type="application/problem+json")


class Answers:
    """Says 200 as each provider wants to hear it."""

    def __init__(self, ledger: Ledger, *, allowed_users: Collection[str], zone: ZoneInfo) -> None:
        """Take what is needed: `allowed_users` of Slack may ask about money, and their day begins in `zone`."""
        self._ledger = ledger
        self._allowed_users = allowed_users
        self._zone = zone

    async def accepted(self, reply: Reply, event: NewEvent, receipt: Receipt) -> Response:
        """Answer for an event that is on disk."""
        if reply is Reply.EMPTY:
            return Response()
        if reply is Reply.COMMAND:
            return JSONResponse({"response_type": "ephemeral", "text": await self._command(event, receipt)})
        status = b"duplicate" if receipt.duplicate else b"accepted"
        return Ok(b'{"status":"%s","event":%d}' % (status, receipt.event_id))

    async def _command(self, event: NewEvent, receipt: Receipt) -> str:
        stored = f"Stored as event {receipt.event_id}."
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await asyncio.to_thread(self._answer_command, event) or stored
        except (TimeoutError, LedgerUnavailable, SQLAlchemyError, Unreadable) as error:
            # The command is on disk; that is what this answer must say, whatever else cannot be said.
            log.warning("command not answered", event_id=receipt.event_id, error=type(error).__name__)
            return f"{stored} The answer could not be read in time; try again."

    def _answer_command(self, event: NewEvent) -> str | None:
        payload = read_payload(event.content_type, event.body)
        user = str(payload.get("user_id", ""))
        asker = Asker(user=user, allowed_users=self._allowed_users, now=event.received_at, zone=self._zone)
        with self._ledger.read() as db:
            return answer_command(db, str(payload.get("command", "")), str(payload.get("text", "")), asker)
