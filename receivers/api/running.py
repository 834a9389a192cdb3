"""What the API is for whoever runs the service: tokens, the audit log, prune."""

import threading
import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from config.settings import Settings
from ledger import prune, tokens
from ledger.prune import Ages, Pruned
from ledger.schedule import DAY_S
from ledger.store import Ledger
from ledger.tokens import NameTaken, Scope
from ledger.views.audit import list_audit
from ledger.views.tokens import list_tokens
from receivers.api import questions, replies
from receivers.api.access import by
from receivers.api.endpoint import add_endpoint
from receivers.api.problems import Refused

PRUNE_S = 10.0
# A request; whoever asks may ask again.

Number = Annotated[int, Path(ge=1, le=questions.MAX_ID)]


class Running:
    """Does what only the scope `admin` may."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    def add_to(self, router: APIRouter) -> None:
        """Add the endpoints."""
        sent = (400, 404, 408, 413)
        for method, path, endpoint, status, shape, refusals in (
            ("GET", "/tokens", self.list, 200, replies.Tokens, (404,)),
            ("POST", "/tokens", self.make, 201, replies.NewToken, (*sent, 409)),
            ("DELETE", "/tokens/{token}", self.revoke, 200, replies.Token, (404,)),
            ("GET", "/audit", self.audit, 200, replies.AuditPage, (404,)),
            ("POST", "/prunings", self.prune, 200, replies.PrunedAnswer, (*sent, 409)),
        ):
            add_endpoint(
                router,
                path,
                endpoint,
                method=method,
                status=status,
                scope=Scope.ADMIN,
                shape=shape,
                refusals=refusals,
            )

    def list(self) -> Response:
        """List tokens, newest first."""
        with self._ledger.read() as db:
            return JSONResponse({"tokens": list_tokens(db, now=time.time())})

    def make(self, asked: questions.TokenAsked, request: Request) -> Response:
        """Make a token. It is shown in this answer and never again."""
        now = time.time()
        expires_at = None if asked.expires_in_s is None else now + asked.expires_in_s
        try:
            with self._ledger.write() as db:
                made, token = tokens.make_token(
                    db, name=asked.name, scopes=set(asked.scopes), expires_at=expires_at, by=by(request), now=now
                )
        except NameTaken as error:
            raise Refused(HTTPStatus.CONFLICT, f"{error}.") from None
        return JSONResponse(made | {"token": token}, HTTPStatus.CREATED, {"Cache-Control": "no-store"})

    def revoke(self, token: Number, request: Request) -> Response:
        """End a token, at once."""
        with self._ledger.write() as db:
            view = tokens.revoke_token(db, token, by=by(request), now=time.time())
        if view is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no token {token}.")
        return JSONResponse(view)

    def audit(self, asked: Annotated[questions.AuditAsked, Query()]) -> Response:
        """List who changed what, newest first."""
        with self._ledger.read() as db:
            found = list_audit(db, limit=asked.limit + 1, before=asked.before)
        shown = found[: asked.limit]
        return JSONResponse({"entries": shown, "next": shown[-1]["id"] if len(found) > len(shown) else None})

    def prune(self, asked: questions.PruneAsked, request: Request) -> Response:
        """Let old events go, for ten seconds at most; or only say what would go."""
        ages = self._ages(asked)
        if asked.dry_run:
            return _pruned(prune.preview(self._ledger, ages), interrupted=False)
        stopping = threading.Event()
        timer = threading.Timer(PRUNE_S, stopping.set)
        timer.start()
        try:
            done = prune.prune(self._ledger, ages, by=by(request, asked.reason), stopping=stopping)
        finally:
            timer.cancel()
        return _pruned(done, interrupted=stopping.is_set())

    def _ages(self, asked: questions.PruneAsked) -> Ages:
        kept = self._settings
        payload_days = kept.hookline_keep_payload_days if asked.payload_after_days is None else asked.payload_after_days
        identity_days = asked.identity_after_days or kept.hookline_keep_identity_days
        if identity_days < payload_days:
            raise Refused(HTTPStatus.CONFLICT, "An event cannot go before its payload.")
        now = time.time()
        return Ages(payload_before=now - payload_days * DAY_S, identity_before=now - identity_days * DAY_S)


def _pruned(done: Pruned, *, interrupted: bool) -> Response:
    told = {"events_deleted": done.deleted, "payloads_emptied": done.emptied, "unfinished": done.unfinished}
    return JSONResponse(told | {"interrupted": interrupted})
