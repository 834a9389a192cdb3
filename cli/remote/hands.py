"""Does over the HTTP API what `cli.hands.LocalHands` does on the ledger."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.errors import NotDone
from cli.forward.resigning import Stored
from cli.hands import Plan, View
from cli.remote.api import Api

if TYPE_CHECKING:
    from handlers.choice import Choice
    from ledger.again import Again
    from ledger.replays import Step
    from ledger.views import Filter

# ruff: noqa: PLC0415  # SQLAlchemy is imported where its neighbours' values are needed

MAX_PAGE = 200
# As many replays as the API gives at once.

MAX_NAMES = 1_000
# In one request: all of them are retried, or none.


class RemoteHands:
    """Works on the ledger of a service elsewhere."""

    def __init__(self, api: Api, *, source: str | None = None) -> None:
        """Take the way there; `source`: of new events, only those from there."""
        self._api = api
        self._source = source

    def select(self, wanted: "Filter") -> tuple[View, list[int]]:
        """Say what `retry` or `dismiss` of a filter means, and which deliveries that is."""
        told = self._api.post("/deliveries/selection", **fields(wanted))
        return told["preview"], told["ids"]

    def retry(
        self, names: Sequence[str], *, reason: str | None = None, states: Collection[str] | None = None
    ) -> "Again":
        """Run these deliveries again, or those of these events; all, or none if one is unknown."""
        from ledger.again import Again

        its_states = None if states is None else list(states)
        told = self._api.post("/retries", names=_few(names), reason=reason, states=its_states)
        return Again(told["deliveries"], told["effects"])

    def dismiss(self, names: Sequence[str], *, reason: str, states: Collection[str] | None = None) -> list[int]:
        """Call these deliveries off, or those of these events. Give the ids of those that it changed."""
        its_states = None if states is None else list(states)
        told = self._api.post("/dismissals", names=_few(names), reason=reason, states=its_states)
        done: list[int] = told["deliveries"]
        return done

    def plan_replay(self, choice: "Choice") -> Plan:
        """Say what a replay would do. What comes in after this is no part of it."""
        if choice.names is None and choice.wanted.until is None:
            choice = replace(choice, wanted=replace(choice.wanted, until=time.time()))
        preview = self._api.post("/replays/preview", **_choice(choice))
        return Plan(choice=choice, preview=preview, found=preview["deliveries_to_run"])

    def rehearse(self, plan: Plan, *, again: bool) -> Iterator[View]:  # noqa: ARG002  # nobody can
        """Refuse: handlers run where the ledger is."""
        raise NotDone("--run works on the ledger itself: say it where the service runs")

    def start_replay(self, plan: Plan, *, again: bool, reason: str | None) -> int:
        """Write a replay down. Give its id."""
        told = self._api.post("/replays", choice=_choice(plan.choice), again=again, reason=reason, at_most=plan.found)
        replay_id: int = told["id"]
        return replay_id

    def advance(self, replay_id: int, *, limit: int) -> "Step":
        """Set the next items of a replay going."""
        from ledger.replays import Step

        told = self._api.post(f"/replays/{replay_id}/advance", limit=limit)
        return Step(started=told["started"], left_alone=told["left_alone"], cursor=told["cursor"], items=told["items"])

    def find_events(self, choice: "Choice") -> tuple[View, list[int]]:
        """Say what events these are, and their ids, oldest first."""
        told = self._api.post("/events/selection", **_choice(choice))
        return told["preview"], told["ids"]

    def load(self, event_id: int) -> Stored:
        """Read what is sent of an event."""
        view = self._api.get(f"/events/{event_id}")
        if "headers" not in view:
            raise NotDone("this needs a token with the scope payload")
        return Stored(
            id=view["id"],
            source=view["source"],
            external_id=view["external_id"],
            type=view["type"],
            content_type=view["content_type"],
            headers=view["headers"],
            body=self._api.raw(f"/events/{event_id}/raw"),
        )

    @property
    def name(self) -> str:
        """Tell this ledger from others."""
        return self._api.url

    def newest(self, *, before: float | None = None) -> int:
        """Give the id of the newest event, or of the newest one before a time (Unix seconds)."""
        event_id: int = self._api.get("/following/newest", before=moment(before))["id"]
        return event_id

    def ids_after(self, event_id: int, *, limit: int) -> list[int]:
        """Give the ids of the events after this one, oldest first."""
        ids: list[int] = self._api.get("/following/ids", after=event_id, limit=limit)["ids"]
        return ids

    def events_of(self, ids: list[int]) -> list[View]:
        """Give these events, oldest first."""
        found: list[View] = self._api.get("/following/events", id=ids, source=self._source)["events"] if ids else []
        return found


def fields(wanted: "Filter") -> dict[str, Any]:
    """Write a filter as the API reads it. Where a page begins is said apart from it."""
    return {
        "source": wanted.source,
        "type": wanted.type,
        "handler": wanted.handler,
        "state": wanted.state,
        "account": wanted.account,
        "external_id": wanted.external_id,
        "since": moment(wanted.since),
        "until": moment(wanted.until),
        "limit": wanted.limit,
    }


def moment(at: float | None) -> str | None:
    """Write a moment (Unix seconds) as RFC 3339. Nothing came in before 1970."""
    return None if at is None else datetime.fromtimestamp(max(at, 0.0), UTC).isoformat()


def _choice(choice: "Choice") -> dict[str, Any]:
    names = None if choice.names is None else list(choice.names)
    return {name: value for name, value in {**fields(choice.wanted), "names": names}.items() if value is not None}


def _few(names: Sequence[str]) -> list[str]:
    if len(names) > MAX_NAMES:
        raise NotDone(f"over the API, {MAX_NAMES:,} ids can be named at once")
    return list(names)
