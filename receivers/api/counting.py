"""What the API counts: how much came in, and from where."""

import time
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from ledger.store import Ledger
from ledger.tokens import Scope
from ledger.views import Filter
from ledger.views.sources import list_sources
from ledger.views.stats import stats_view, take_stats
from receivers.api import questions, replies
from receivers.api.endpoint import add_endpoint
from receivers.api.names import Names
from receivers.api.span import span_of


class Counting:
    """Counts events. Changes nothing."""

    def __init__(self, ledger: Ledger, known: Names, configured: Mapping[str, bool]) -> None:
        self._ledger = ledger
        self._known = known
        self._configured = configured

    def add_to(self, router: APIRouter) -> None:
        """Add the endpoints."""
        for path, endpoint, shape, refusals in (
            ("/stats", self.stats, replies.Stats, (404, 409)),
            ("/sources", self.sources, replies.Sources, (404,)),
        ):
            add_endpoint(router, path, endpoint, scope=Scope.READ, shape=shape, refusals=refusals)

    def stats(self, asked: Annotated[questions.StatsAsked, Query()]) -> Response:
        """Count what came in, of the last 24 h unless `since` says otherwise, and how long it took."""
        since, until = span_of(asked, now=time.time())
        wanted = Filter(source=asked.source, type=asked.type, account=asked.account)
        with self._ledger.read() as db:
            self._known.check(db, wanted)
            taken = take_stats(db, wanted, since=since, until=until)
        return JSONResponse(stats_view(taken))

    def sources(self) -> Response:
        """List the sources: whether they are configured, and what came in of each in 24 h."""
        with self._ledger.read() as db:
            return JSONResponse({"sources": list_sources(db, self._configured, now=time.time())})
