"""The hot path: one webhook, from its first header to its answer. Nothing else belongs here.

Headers first; then the body, bounded; verify the raw bytes; name the event; make it durable; answer.
The handlers hear of it after the commit, through `ledger.writer` and `ledger.announce`.
"""

import asyncio
import hashlib
import time
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope

from config.metrics import Metrics
from config.refrain import Refrain
from config.traces import Traces
from handlers.router import Router
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent
from ledger.large import LargeWriter
from ledger.pieces import LARGE_BYTES
from ledger.rejections import Rejection, RejectionLog
from ledger.writer import Writer
from receivers import provider as seen
from receivers.answers import Answers, problem
from receivers.apart import Apart
from receivers.arrival import arrive
from receivers.body import Budget, read_body
from receivers.headers import content_type_of, kept_headers
from receivers.provider import Handshake, Headers, Incoming, Provider, Rejected

COMMIT_TIMEOUT_S = 2.0
# From the last byte of the body. Slack waits 3 s for its answer.

IN_THREAD_BYTES = 256 * 1024
# Hashing and parsing more than this would keep the event loop from everybody else.

TOLD: dict[str, type[str | int]] = {"type": str, "external_id": str, "event_id": int}
# What the log says of an event.


class Intake:
    """Receives what one provider posts to one path."""

    def __init__(
        self,
        provider: Provider,
        secrets: tuple[str, ...],
        *,
        router: Router,
        writer: Writer,
        large: LargeWriter,
        apart: Apart,
        answers: Answers,
        rejections: RejectionLog,
        budget: Budget,
        metrics: Metrics,
        traces: Traces,
    ) -> None:
        """Take what is needed. No `secrets`: this source is not configured."""
        self._provider = provider
        self._secrets = secrets
        self._router = router
        self._writer = writer
        self._large = large
        self._apart = apart
        self._answers = answers
        self._rejections = rejections
        self._budget = budget
        self._metrics = metrics
        self._traces = traces
        self._log = structlog.get_logger().bind(source=provider.source)
        self._accepted = Refrain("event accepted", TOLD, source=provider.source)
        self._duplicate = Refrain("event duplicate", TOLD, source=provider.source)

    async def receive(self, scope: Scope, receive: Receive) -> Response:
        """Answer one request. A 2xx means: on disk, and it will be handled."""
        arrival = arrive(self._provider.source, self._metrics, self._traces)
        headers = Headers(scope["headers"])
        body: bytes | None = None
        with self._budget.share() as share:
            try:
                self._require_signature(headers)
                body = await read_body(receive, headers, self._provider.max_body_bytes, share)
                if len(body) > IN_THREAD_BYTES:
                    event = await self._verify_and_read_aside(headers, body)
                else:
                    event = self._verify_and_read(headers, body)
                if isinstance(event, Handshake):
                    return Response(event.content, media_type=event.media_type)
                writer = self._large if len(body) > LARGE_BYTES else self._writer
                receipt = await writer.append(arrival.verified(event), timeout_s=COMMIT_TIMEOUT_S)
            except Rejected as rejected:
                arrival.rejected(rejected.reason)
                await self._note(rejected, headers, body)
                return problem(rejected.status)
            except LedgerUnavailable as error:
                arrival.unavailable()
                self._log.warning("event refused", reason=str(error))
                return problem(HTTPStatus.SERVICE_UNAVAILABLE)
        arrival.stored(receipt)
        tell = self._duplicate if receipt.duplicate else self._accepted
        tell.log((event.type, event.external_id, receipt.event_id))
        answer = await self._answers.accepted(self._provider.reply, event, receipt)
        arrival.answered(receipt)
        return answer

    def _require_signature(self, headers: Headers) -> None:
        if not self._secrets:
            raise Rejected("source_not_configured", HTTPStatus.NOT_FOUND)
        if not headers.get(self._provider.signature_header):
            raise Rejected("signature_missing")

    def _verify_and_read(self, headers: Headers, body: bytes) -> NewEvent | Handshake:
        now = time.time()
        request, position = self._verify(headers, body, now)
        return self._event(request, self._provider.read(request), position, now)

    async def _verify_and_read_aside(self, headers: Headers, body: bytes) -> NewEvent | Handshake:
        now = time.time()
        request, position = await asyncio.to_thread(self._verify, headers, body, now)
        if len(body) > LARGE_BYTES:
            incoming = await self._apart.read(self._provider, request)
        else:
            incoming = await asyncio.to_thread(self._provider.read, request)
        return self._event(request, incoming, position, now)

    def _verify(self, headers: Headers, body: bytes, now: float) -> tuple[seen.Request, int]:
        position = self._provider.verify(headers, body, self._secrets, now)
        content_type = content_type_of(headers, self._provider.content_types)
        body_sha256 = _sha256_now(body)
        return seen.Request(headers=headers, content_type=content_type, body=body, body_sha256=body_sha256), position

    def _event(
        self, request: seen.Request, incoming: Incoming | Handshake, secret_position: int, now: float
    ) -> NewEvent | Handshake:
        if isinstance(incoming, Handshake):
            return incoming
        source = self._provider.source
        return NewEvent(
            source=source,
            dedupe_key=incoming.dedupe_key,
            external_id=incoming.external_id,
            type=incoming.type,
            account=incoming.account,
            livemode=incoming.livemode,
            received_at=now,
            content_type=request.content_type,
            headers=kept_headers(request.headers, without=self._provider.signature_header),
            body=request.body,
            body_sha256=request.body_sha256,
            secret_position=secret_position,
            flaw=incoming.flaw,
            deliveries=() if incoming.flaw else self._router.deliveries(source, incoming.type),
        )

    async def _note(self, rejected: Rejected, headers: Headers, body: bytes | None) -> None:
        self._log.warning("request rejected", reason=rejected.reason, status=rejected.status.value)
        self._rejections.note(
            Rejection(
                received_at=time.time(),
                source=self._provider.source,
                path=self._provider.path,
                status=rejected.status.value,
                reason=rejected.reason,
                headers=kept_headers(headers),
                body_size=None if body is None else len(body),
                body_sha256=None if body is None else await _sha256(body),
            ),
        )


async def _sha256(body: bytes) -> str:
    if len(body) > IN_THREAD_BYTES:
        return await asyncio.to_thread(_sha256_now, body)
    return _sha256_now(body)


def _sha256_now(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
