"""What somebody wants to run again: events by name or by filter, or the deliveries of one handler."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from handlers.router import Handler
from ledger import addresses, replays
from ledger.replays import Found, NewHandler
from ledger.selection import SelectedEvents, select_events
from ledger.views import Filter


class UnknownHandler(LookupError):
    """There is no handler of this name."""

    def __init__(self, name: str, known: Mapping[str, Handler]) -> None:
        super().__init__(f"there is no handler {name!r}; there is {', '.join(sorted(known))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to replay.

    Attributes:
        wanted: which; its state and handler are a delivery's, its limit counts events.
        names: only these events, by our ids or the provider's.

    """

    wanted: Filter
    names: tuple[str, ...] | None = None

    def find(self, db: Connection, handlers: Mapping[str, Handler]) -> Found:
        """Find the deliveries to run, among them those that the chosen handler does not have yet.

        Raises:
            UnknownHandler: there is none of that name in `handlers`.
            ledger.addresses.Unknown: an event that was named does not exist.

        """
        new = None if self.wanted.handler is None else _new_handler(self.wanted.handler, handlers)
        return replays.find(db, self.wanted, event_ids=self._event_ids(db), handler=new)

    def find_events(self, db: Connection) -> SelectedEvents:
        """Find the events, whether anything handles them or not.

        Raises:
            ledger.addresses.Unknown: an event that was named does not exist.

        """
        return select_events(db, self.wanted, event_ids=self._event_ids(db))

    def record(self) -> dict[str, Any]:
        """Give it as it is kept with a replay, for people."""
        chosen = {name: value for name, value in asdict(self.wanted).items() if value is not None}
        return chosen if self.names is None else {**chosen, "ids": len(self.names)}

    def _event_ids(self, db: Connection) -> list[int] | None:
        return None if self.names is None else addresses.find_events(db, self.names)


def _new_handler(name: str, handlers: Mapping[str, Handler]) -> NewHandler:
    if name not in handlers:
        raise UnknownHandler(name, handlers)
    its = handlers[name]
    return NewHandler(name=name, source=its.source, queue=its.queue, wants=its.wants)
