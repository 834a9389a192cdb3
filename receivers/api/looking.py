"""What the API shows: the same views as the commands, page by page."""

import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from ledger import following, names, views
from ledger.addresses import find_event
from ledger.event import DeliveryState
from ledger.store import Ledger
from ledger.tokens import Scope
from ledger.views import Filter, Page, Position, View
from ledger.views.events import FEW
from ledger.views.replays import get_replay, list_replays
from receivers.api import questions, replies
from receivers.api.access import bearer_of
from receivers.api.endpoint import add_endpoint
from receivers.api.names import Names
from receivers.api.problems import Refused

OVER = (None, DeliveryState.DONE, DeliveryState.DISMISSED)

Address = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Path(ge=1, le=questions.MAX_ID)]


class Looking:
    """Answers questions. Changes nothing."""

    def __init__(self, ledger: Ledger, known: Names) -> None:
        self._ledger = ledger
        self._known = known

    def add_to(self, router: APIRouter) -> None:
        """Add the endpoints."""
        read, payload = Scope.READ, Scope.PAYLOAD
        for path, endpoint, shape, scope, refusals in (
            ("/events", self.events, replies.EventPage, read, (404,)),
            ("/events/{event}", self.event, replies.Event, read, (404, 409)),
            ("/events/{event}/raw", self.raw, None, payload, (404, 409, 410)),
            ("/deliveries", self.deliveries, replies.DeliveryPage, read, (404,)),
            ("/requests", self.requests, replies.RequestPage, read, (404,)),
            ("/replays", self.replays, replies.Replays, read, (404,)),
            ("/replays/{replay}", self.replay, replies.Replay, read, (404,)),
            ("/following/newest", self.newest, replies.Newest, read, (404,)),
            ("/following/ids", self.ids_after, replies.Following, read, (404,)),
            ("/following/events", self.events_of, replies.Events, read, (404,)),
        ):
            add_endpoint(router, path, endpoint, scope=scope, shape=shape, refusals=refusals)

    def events(self, asked: Annotated[questions.EventsAsked, Query()]) -> Response:
        """List events, newest first: of the last 24 h unless `since` says otherwise, but for what needs somebody."""
        wanted = asked.filter(
            state=asked.state, account=asked.account, external_id=asked.external_id, limit=asked.limit
        )
        bounded = asked.state not in FEW and asked.external_id is None
        return self._page(
            "events", views.page_of_events, wanted, asked.before, views.position_of_event, bounded=bounded
        )

    def deliveries(self, asked: Annotated[questions.DeliveriesAsked, Query()]) -> Response:
        """List deliveries, newest events first: of the last 24 h unless `since` says otherwise, but for unfinished."""
        wanted = asked.filter(
            state=asked.state, account=asked.account, external_id=asked.external_id, limit=asked.limit
        )
        bounded = asked.state in OVER and asked.external_id is None
        find = views.position_of_delivery
        return self._page("deliveries", views.page_of_deliveries, wanted, asked.before, find, bounded=bounded)

    def requests(self, asked: Annotated[questions.RequestsAsked, Query()], request: Request) -> Response:
        """List rejected requests, newest first; their headers only with the scope `payload`."""
        find = views.position_of_request

        def page(db: Connection, wanted: Filter) -> Page:
            names.check_reason(db, wanted.state)
            found = views.page_of_requests(db, wanted)
            return Page([_as_seen_by(request, view) for view in found.views], found.next)

        return self._page("rejected requests", page, asked.filter(), asked.before, find)

    def event(self, event: Address, request: Request) -> Response:
        """Give everything that is known of one event; its headers only with the scope `payload`."""
        with self._ledger.read() as db:
            view = views.get_event(db, find_event(db, event))
        if view is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no event {event}.")
        return JSONResponse(_as_seen_by(request, view))

    def raw(self, event: Address) -> Response:
        """Give the exact bytes of an event that were signed."""
        with self._ledger.read() as db:
            event_id = find_event(db, event)
            view, body = views.get_event(db, event_id), views.get_body(db, event_id)
        if view is None or body is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no event {event}.")
        if view["payload_pruned_at"]:
            raise Refused(HTTPStatus.GONE, f"The payload of event {event} was pruned.")
        # Whatever it is, no browser is to show it as a page of ours.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(body, headers=headers, media_type="application/octet-stream")

    def replays(self, asked: Annotated[questions.ReplaysAsked, Query()]) -> Response:
        """List replays, newest first."""
        with self._ledger.read() as db:
            found = list_replays(db, limit=asked.limit + 1, before=asked.before)
        shown = found[: asked.limit]
        return JSONResponse({"replays": shown, "next": shown[-1]["id"] if len(found) > len(shown) else None})

    def replay(self, replay: Number) -> Response:
        """Give one replay, and where its deliveries stand."""
        with self._ledger.read() as db:
            view = get_replay(db, replay)
        if view is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no replay {replay}.")
        return JSONResponse(view)

    def newest(self, asked: Annotated[questions.NewestAsked, Query()]) -> Response:
        """Give the id of the newest event, or of the newest one that came in before a time."""
        with self._ledger.read() as db:
            return JSONResponse({"id": following.newest(db, before=asked.before_s)})

    def ids_after(self, asked: Annotated[questions.FollowingAsked, Query()]) -> Response:
        """Give the ids of the events after one, oldest first. Late ones may appear below what was seen: look back."""
        with self._ledger.read() as db:
            return JSONResponse({"ids": following.ids_after(db, asked.after, limit=asked.limit)})

    def events_of(self, asked: Annotated[questions.IdsAsked, Query()]) -> Response:
        """Give several events by their ids, oldest first."""
        with self._ledger.read() as db:
            return JSONResponse({"events": following.events_of(db, asked.id, source=asked.source)})

    def _page(
        self,
        what: str,
        page: Callable[[Connection, Filter], Page],
        wanted: Filter,
        before: int | None,
        find: Callable[[Connection, int], Position | None],
        *,
        bounded: bool = True,
    ) -> Response:
        with self._ledger.read() as db:
            self._known.check(db, wanted)
            if before is not None:
                position = find(db, before)
                if position is None:
                    raise Refused(HTTPStatus.NOT_FOUND, f"before: there is no {before} among the {what}.")
                wanted = replace(wanted, before=position)
            if bounded:
                wanted = views.within_a_day(wanted, now=time.time())
            found = page(db, wanted)
        # With the bound, whose next page would otherwise reach back 24 h more.
        since = None if wanted.since is None else views.rfc3339(max(wanted.since, 0.0))
        last = found.views[-1]["id"] if found.next is not None and found.views else None
        return JSONResponse({what.rsplit(maxsplit=1)[-1]: found.views, "since": since, "next": last})


def _as_seen_by(request: Request, view: View) -> View:
    """Leave out the headers, unless the token's scopes include them."""
    seen = Scope.PAYLOAD in bearer_of(request).scopes
    return view if seen else {name: value for name, value in view.items() if name != "headers"}
