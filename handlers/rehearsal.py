"""What an event would post: its handlers run for a try, and what they plan is noted instead of planned."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sqlalchemy import Connection, delete

from config.rules import Rules
from handlers.context import Channels, Context
from handlers.router import Handler
from ledger.effects import NOTHING_SPECIAL, About
from ledger.event import Event
from ledger.store import Transaction, savepoint
from ledger.tables import cases, effects

INTERNAL = frozenset({"link", "name", "broadcast", "storm", "user"})
# What is kept beside a message and is no part of it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message that would be posted.

    Attributes:
        handler: who would.
        key: its business key.
        parent: the key of the message in whose thread.
        not_before: Unix seconds, where quiet hours hold it.
        message: text and blocks, as Slack is sent them.

    """

    handler: str
    key: str
    channel: str
    parent: str | None
    not_before: float | None
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stumbled:
    """A handler would fail."""

    handler: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Context):
    """A run in which nothing is planned: what would be is noted."""

    handler: str = ""
    told: list[Told] = field(default_factory=list)

    def plan(
        self,
        event: Event,  # noqa: ARG002  # as a handler calls it
        *,
        key: str,
        channel: str,
        message: Mapping[str, Any],
        parent: str | None = None,
        held_until: float | None = None,
        about: About = NOTHING_SPECIAL,  # noqa: ARG002  # ditto
    ) -> None:
        """Note a message."""
        self._note_message(key, channel, message, parent, held_until)

    def show(
        self,
        event: Event,  # noqa: ARG002  # as a handler calls it
        *,
        key: str,
        channel: str,
        message: Mapping[str, Any],
        held_until: float | None = None,
        about: About = NOTHING_SPECIAL,  # noqa: ARG002  # ditto
        stays_folded: bool = False,  # noqa: ARG002  # ditto
    ) -> None:
        """Note a message that changes."""
        self._note_message(key, channel, message, None, held_until)

    def _note_message(
        self, key: str, channel: str, message: Mapping[str, Any], parent: str | None, held_until: float | None
    ) -> None:
        told = {name: value for name, value in message.items() if name not in INTERNAL}
        held = held_until if held_until is not None and held_until > self.now else None
        self.told.append(
            Told(handler=self.handler, key=key, channel=channel, parent=parent, not_before=held, message=told)
        )


class _Undo(Exception):
    """Takes back what a try has written."""


def preview(
    db: Connection,
    event: Event,
    handlers: Iterable[Handler],
    *,
    rules: Rules,
    channels: Channels,
    allowed_users: Iterable[str],
    now: float,
) -> Iterator[Told | Stumbled]:
    """Say what an event would post if it were the first that is heard of what it is about.

    Args:
        db: a write transaction. All that is written in it is taken back, to a savepoint.
        event: with its payload.
        handlers: those that want it.
        rules: as a worker has them,
        channels: ditto,
        allowed_users: ditto.
        now: Unix seconds.

    """
    for each in handlers:
        first, again = (
            Rehearsal(
                db=Transaction(db),
                channels=channels,
                delivery_id=0,
                now=now,
                rules=rules,
                allowed_users=frozenset(allowed_users),
                handler=each.name,
            )
            for _ in range(2)
        )
        error = _try(db, each, event, first)
        # Lines for threads are told once: as if the cases that it is about had never been, it tells all of them.
        if error is None:
            _try(db, each, event, again, without=[told.key for told in first.told])
            yield from again.told
        else:
            yield Stumbled(each.name, error)


def _try(db: Connection, handler: Handler, event: Event, context: Rehearsal, without: Iterable[str] = ()) -> str | None:
    """Run a handler and take it back. Give what it stumbled over."""
    try:
        with savepoint(db):
            keys = list(without)
            db.execute(delete(cases).where(cases.c.key.in_(keys)))
            # What was told once is told on, whatever the rules say: this was never told.
            db.execute(delete(effects).where(effects.c.key.in_(keys)))
            handler.run(event, context)
            _undo()
    except _Undo:
        return None
    except Exception as error:  # noqa: BLE001  # whatever a handler does is what is asked here
        return f"{type(error).__name__}: {error}"


def _undo() -> NoReturn:
    raise _Undo
