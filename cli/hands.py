"""What the commands that change something need of a ledger: the one that is here, or that of a service elsewhere.

`LocalHands` works on the ledger that this environment names; `cli.remote.hands` asks the HTTP API of a service, which
does the same with the same functions.
"""

import getpass
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cli.errors import Disconnected, Gone, NotDone
from cli.known import check_handler, check_source
from cli.ledger_door import open_ledger
from cli.remote.api import is_remote, open_api
from ledger.errors import LedgerUnavailable, Unknown

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cli.forward.resigning import Stored
    from handlers.choice import Choice
    from handlers.router import Handler
    from ledger.again import Again
    from ledger.audit import By
    from ledger.replays import Step
    from ledger.store import Ledger
    from ledger.views import Filter

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A replay that was looked at, and not begun."""

    choice: "Choice"
    preview: View
    found: Any  # what `start_replay` of the same hands needs to know of it


class Hands(Protocol):
    """Does what a person says. Everything raises NotDone where it cannot be done."""

    def select(self, wanted: "Filter") -> tuple[View, list[int]]:
        """Say what `retry` or `dismiss` of a filter means, and which deliveries that is."""

    def retry(
        self, names: Sequence[str], *, reason: str | None = None, states: Collection[str] | None = None
    ) -> "Again":
        """Run these deliveries again, or those of these events; all, or none if one is unknown."""

    def dismiss(self, names: Sequence[str], *, reason: str, states: Collection[str] | None = None) -> list[int]:
        """Call these deliveries off, or those of these events. Give the ids of those that it changed."""

    def plan_replay(self, choice: "Choice") -> Plan:
        """Say what a replay would do."""

    def rehearse(self, plan: Plan, *, again: bool) -> Iterator[View]:
        """Run the handlers, and take back what they did; give what each delivery would do."""

    def start_replay(self, plan: Plan, *, again: bool, reason: str | None) -> int:
        """Write a replay down. Give its id."""

    def advance(self, replay_id: int, *, limit: int) -> "Step":
        """Set the next items of a replay going."""

    def find_events(self, choice: "Choice") -> tuple[View, list[int]]:
        """Say what events these are, and their ids, oldest first."""

    def load(self, event_id: int) -> "Stored":
        """Read what is sent of an event. Raises Gone if it is not there any more, or its payload is not."""

    @property
    def name(self) -> str:
        """Tell this ledger from others; it may hold a password, and is not to be shown."""

    def newest(self, *, before: float | None = None) -> int:
        """Give the id of the newest event, or of the newest one before a time (Unix seconds)."""

    def ids_after(self, event_id: int, *, limit: int) -> list[int]:
        """Give the ids of the events after this one, oldest first."""

    def events_of(self, ids: list[int]) -> list[View]:
        """Give these events, oldest first."""


@contextmanager
def open_hands(environ: Mapping[str, str]) -> Iterator[Hands]:
    """Open the ledger that this environment names, or the API of the service that it names.

    Raises:
        NotDone: there is none, or it does not answer.

    """
    if is_remote(environ):
        from cli.remote.hands import RemoteHands

        with closing(open_api(environ)) as api:
            yield RemoteHands(api)
        return
    with open_ledger(environ) as ledger:
        yield LocalHands(ledger, environ)


class LocalHands:
    """Works on a ledger that can be reached from here."""

    def __init__(self, ledger: "Ledger", environ: Mapping[str, str]) -> None:
        """Take the ledger, and the environment that names it."""
        self._ledger = ledger
        self._environ = environ

    def select(self, wanted: "Filter") -> tuple[View, list[int]]:
        """Say what `retry` or `dismiss` of a filter means, and which deliveries that is."""
        from handlers import preview
        from ledger.selection import select_deliveries

        with self._told("selected"), self._ledger.read() as db:
            check_source(db, wanted.source)
            found = select_deliveries(db, wanted)
            return preview.of_deliveries(db, found), found.deliveries

    def retry(
        self, names: Sequence[str], *, reason: str | None = None, states: Collection[str] | None = None
    ) -> "Again":
        """Run these deliveries again, or those of these events; all, or none if one is unknown."""
        from ledger import actions

        with self._told("retried"), self._ledger.write() as db:
            return actions.retry(db, names, by=by_whoever(reason), states=states, now=time.time())

    def dismiss(self, names: Sequence[str], *, reason: str, states: Collection[str] | None = None) -> list[int]:
        """Call these deliveries off, or those of these events. Give the ids of those that it changed."""
        from ledger import actions

        with self._told("dismissed"), self._ledger.write() as db:
            return actions.dismiss(db, names, by=by_whoever(), reason=reason, states=states, now=time.time())

    def plan_replay(self, choice: "Choice") -> Plan:
        """Say what a replay would do."""
        from handlers import preview

        with self._told("replayed"), self._ledger.read() as db:
            check_source(db, choice.wanted.source)
            found = choice.find(db, _handlers() if choice.wanted.handler is not None else {})
            return Plan(choice=choice, preview=preview.of_replay(db, found), found=found)

    def rehearse(self, plan: Plan, *, again: bool) -> Iterator[View]:
        """Run the handlers, and take back what they did; give what each delivery would do."""
        from cli.rehearsal import rehearse_all, view

        return (view(each) for each in rehearse_all(self._ledger, plan.found.items, _handlers(), again=again))

    def start_replay(self, plan: Plan, *, again: bool, reason: str | None) -> int:
        """Write a replay down. Give its id."""
        from ledger import actions

        with self._ledger.write() as db:
            return actions.start_replay(
                db,
                plan.found,
                chosen=plan.choice.record(),
                state=plan.choice.wanted.state,
                again=again,
                by=by_whoever(reason),
                now=time.time(),
            )

    def advance(self, replay_id: int, *, limit: int) -> "Step":
        """Set the next items of a replay going."""
        from ledger import actions

        try:
            with self._ledger.write() as db:
                return actions.advance(db, replay_id, by=by_whoever(), limit=limit, now=time.time())
        except LookupError:
            raise Gone(f"there is no replay {replay_id}") from None

    def find_events(self, choice: "Choice") -> tuple[View, list[int]]:
        """Say what events these are, and their ids, oldest first."""
        from handlers import preview

        with self._told("sent"), self._ledger.read() as db:
            check_source(db, choice.wanted.source)
            check_handler(db, choice.wanted.handler)
            found = choice.find_events(db)
            return preview.of_events(db, found), found.ids

    def load(self, event_id: int) -> "Stored":
        """Read what is sent of an event."""
        from cli.forward.command import load

        with self._read() as db:
            return load(db, event_id)

    @property
    def name(self) -> str:
        """Tell this ledger from others; it may hold a password, and is not to be shown."""
        from config.settings import load_settings

        settings = load_settings(self._environ)
        return settings.database_url or str(settings.ledger_path)

    def newest(self, *, before: float | None = None) -> int:
        """Give the id of the newest event, or of the newest one before a time (Unix seconds)."""
        from ledger import following

        with self._read() as db:
            return following.newest(db, before=before)

    def ids_after(self, event_id: int, *, limit: int) -> list[int]:
        """Give the ids of the events after this one, oldest first."""
        from ledger import following

        with self._read() as db:
            return following.ids_after(db, event_id, limit=limit)

    def events_of(self, ids: list[int]) -> list[View]:
        """Give these events, oldest first."""
        from ledger import following

        with self._read() as db:
            return following.events_of(db, ids)

    @contextmanager
    def _read(self) -> Iterator["Connection"]:
        try:
            with self._ledger.read() as db:
                yield db
        except LedgerUnavailable as error:
            raise Disconnected(f"the ledger does not answer ({error})") from error

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        from handlers.choice import UnknownHandler
        from ledger.selection import NeverHandled

        try:
            yield
        except Unknown as error:
            raise NotDone(f"{error}; nothing was {done}") from None
        except (UnknownHandler, NeverHandled) as error:
            raise NotDone(str(error)) from None


def whoever() -> str:
    """Name the person at this shell, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def by_whoever(reason: str | None = None) -> "By":
    """Say for the audit log that the person at this shell does it."""
    from ledger.audit import By

    return By(who=whoever(), via="cli", reason=reason)


def _handlers() -> "Mapping[str, Handler]":
    from handlers.router import load_router

    return load_router().by_name
