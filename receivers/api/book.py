"""What the API shows of the book: payments, and all that belongs to them."""

import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from handlers.payments import summary, views
from handlers.payments.names import KIND_NAMES
from ledger.store import Ledger
from ledger.tokens import Scope
from receivers.api import questions, replies
from receivers.api.endpoint import add_endpoint
from receivers.api.problems import Refused
from receivers.api.span import span_of

Address = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class Book:
    """Reads the book. Changes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add_to(self, router: APIRouter) -> None:
        """Add the endpoints."""
        for path, endpoint, shape, refusals in (
            ("/payments", self.list, replies.ObjectPage, (404,)),
            ("/payments/summary", self.summary, replies.Summaries, (404, 409)),  # before what takes any word
            ("/payments/{object}", self.get, replies.Object, (404, 409)),
        ):
            add_endpoint(router, path, endpoint, scope=Scope.READ, shape=shape, refusals=refusals)

    def list(self, asked: Annotated[questions.ObjectsAsked, Query()]) -> Response:
        """List payments, refunds, disputes, payouts and what else the book keeps, as they stand, the latest first."""
        if asked.kind is not None and asked.kind not in KIND_NAMES:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"kind: there is {', '.join(KIND_NAMES)}.")
        with self._ledger.read() as db:
            found, following = views.page_of_objects(db, asked.wanted(), limit=asked.limit)
        return JSONResponse({"objects": found, "next": None if following is None else str(following)})

    def get(self, address: Annotated[Address, Path(alias="object")]) -> Response:
        """Give one object by its id or how it begins: where it stands, what belongs to it, what changed it."""
        with self._ledger.read() as db:
            found = views.find_object(db, address)
            view = None if found is None else views.get_object(db, found)
        if view is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"The book has nothing called {address}.")
        return JSONResponse(view)

    def summary(self, asked: Annotated[questions.SummaryAsked, Query()]) -> Response:
        """Sum up what became of money, in the last 24 h unless `since` says otherwise: each mode and account apart."""
        since, until = span_of(asked, now=time.time())
        modes = [True, False] if asked.livemode is None else [asked.livemode]
        with self._ledger.read() as db:
            found = [
                summary.summary_view(each)
                for livemode in modes
                for each in summary.summaries(db, since=since, until=until, livemode=livemode, account=asked.whose)
            ]
        return JSONResponse({"summaries": found})
