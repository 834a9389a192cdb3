"""What the API changes: retry, dismiss, replay; each in one transaction, with its entry in the audit log."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from handlers import preview
from handlers.choice import Choice
from handlers.router import Handler
from ledger import actions
from ledger.replays import Found
from ledger.selection import select_deliveries
from ledger.store import Ledger
from ledger.tokens import Scope
from ledger.views.replays import get_replay
from receivers.api import questions, replies
from receivers.api.access import by
from receivers.api.endpoint import add_endpoint
from receivers.api.names import Names
from receivers.api.problems import Refused

Number = Annotated[int, Path(ge=1, le=questions.MAX_ID)]


class Doing:
    """Does what a person says."""

    def __init__(self, ledger: Ledger, known: Names, handlers: Mapping[str, Handler]) -> None:
        self._ledger = ledger
        self._known = known
        self._handlers = handlers

    def add_to(self, router: APIRouter) -> None:
        """Add the endpoints."""
        for path, endpoint, shape, scope, refusals in (
            ("/deliveries/selection", self.select, replies.Selection, Scope.READ, (404,)),
            ("/events/selection", self.select_events, replies.Selection, Scope.READ, (404, 409)),
            ("/retries", self.retry, replies.Retried, Scope.REPLAY, (404, 409)),
            ("/dismissals", self.dismiss, replies.Dismissed, Scope.REPLAY, (404, 409)),
            ("/replays/preview", self.preview_replay, replies.ReplayPreview, Scope.READ, (404, 409)),
            ("/replays", self.start_replay, replies.Replay, Scope.REPLAY, (404, 409)),
            ("/replays/{replay}/advance", self.advance, replies.Step, Scope.REPLAY, (404,)),
        ):
            add_endpoint(
                router, path, endpoint, method="POST", scope=scope, shape=shape, refusals=(400, 408, 413, *refusals)
            )

    def select(self, asked: questions.SelectionAsked) -> Response:
        """Say which deliveries a filter means, for a retry or a dismissal, and how much money that is about."""
        with self._ledger.read() as db:
            wanted = asked.filter(state=asked.state, limit=asked.limit)
            self._known.check_source(db, wanted)
            found = select_deliveries(db, wanted)
            return JSONResponse({"preview": preview.of_deliveries(db, found), "ids": found.deliveries})

    def select_events(self, asked: questions.ChoiceAsked) -> Response:
        """Say which events a filter means, and how much money that is about."""
        with self._ledger.read() as db:
            choice = asked.choice()
            self._known.check(db, choice.wanted)
            found = choice.find_events(db)
            return JSONResponse({"preview": preview.of_events(db, found), "ids": found.ids})

    def retry(self, asked: questions.RetryAsked, request: Request) -> Response:
        """Run failed or dead deliveries again now, and send their dead effects again."""
        with self._ledger.write() as db:
            done = actions.retry(db, asked.names, by=by(request, asked.reason), states=asked.states, now=time.time())
        return JSONResponse({"deliveries": done.deliveries, "effects": done.effects})

    def dismiss(self, asked: questions.DismissAsked, request: Request) -> Response:
        """Call deliveries off: they count as done."""
        with self._ledger.write() as db:
            done = actions.dismiss(
                db, asked.names, by=by(request), reason=asked.reason, states=asked.states, now=time.time()
            )
        return JSONResponse({"deliveries": done})

    def preview_replay(self, asked: questions.ChoiceAsked) -> Response:
        """Say what a replay would do, and to how much money."""
        with self._ledger.read() as db:
            return JSONResponse(preview.of_replay(db, self._find(db, asked.choice())))

    def start_replay(self, asked: questions.ReplayAsked, request: Request) -> Response:
        """Write a replay down. Nothing runs until it is advanced."""
        choice = asked.choice.choice()
        with self._ledger.read() as db:
            found = self._find(db, choice)
        if asked.at_most is not None and len(found.items) > asked.at_most:
            raise Refused(HTTPStatus.CONFLICT, "There is more to replay than the preview said: look at it again.")
        with self._ledger.write() as db:
            replay_id = actions.start_replay(
                db, found, chosen=choice.record(), state=choice.wanted.state, again=asked.again,
                by=by(request, asked.reason), now=time.time(),
            )  # fmt: skip
            return JSONResponse(get_replay(db, replay_id))

    def _find(self, db: Connection, choice: Choice) -> Found:
        self._known.check_source(db, choice.wanted)
        return choice.find(db, self._handlers)

    def advance(self, replay: Number, asked: questions.StepAsked, request: Request) -> Response:
        """Set the next items of a replay going; whoever asks decides how fast."""
        try:
            with self._ledger.write() as db:
                step = actions.advance(db, replay, by=by(request), limit=asked.limit, now=time.time())
        except LookupError:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no replay {replay}.") from None
        told = {"started": step.started, "left_alone": step.left_alone, "cursor": step.cursor, "items": step.items}
        return JSONResponse(told)
