"""Shows events as they come in."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cli.ending import Ending
from cli.show import Part, View, cell, check_reader, note, print_json, print_lines, short_time, terminal_width
from ledger.errors import LedgerUnavailable

if TYPE_CHECKING:
    from ledger.store import Ledger
    from ledger.views import Filter

INTERVAL_S = 0.5

PAGE = 200

LOOKBACK = 500
# PostgreSQL gives ids before it commits: an event may appear below one that was shown already.

SOURCE_CHARS = 7
TYPE_CHARS = 30


def tail(ledger: "Ledger", wanted: "Filter", *, as_json: bool) -> None:
    """Print events that match, as they come in, until Ctrl-C or SIGTERM. `wanted.since`: those since then first."""
    ending = Ending()
    ending.listen()
    follower = Follower(ledger, wanted, print_json if as_json else print_events)
    try:
        follower.start()
        while not ending.is_asked_for():
            if not follower.show_new():
                check_reader()
                time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return


class Follower:
    """Knows what was shown."""

    def __init__(self, ledger: "Ledger", wanted: "Filter", show: Callable[[Sequence[View]], None]) -> None:
        self._ledger = ledger
        self._wanted = wanted
        self._show = show
        self._seen: set[int] = set()
        self._newest = 0
        self._silent = False

    def start(self) -> None:
        """Take what is there as seen, but for what was asked for with `since`."""
        from ledger import views  # noqa: PLC0415  # SQLAlchemy; see ledger_door

        with self._ledger.read() as db:
            self._newest = views.last_event_id(db, before=self._wanted.since)
            self._seen = set(views.event_ids_after(db, self._floor, limit=LOOKBACK)) if self._newest else set()
        self._seen = {event_id for event_id in self._seen if event_id <= self._newest}

    @property
    def _floor(self) -> int:
        return max(self._newest - LOOKBACK, 0)

    def show_new(self) -> bool:
        """Print what is new. Say whether there may be more already."""
        from ledger import views  # noqa: PLC0415

        try:
            with self._ledger.read() as db:
                ids = views.event_ids_after(db, self._floor, limit=LOOKBACK + PAGE)
                new = [event_id for event_id in ids if event_id not in self._seen]
                found = views.list_events_among(db, new, self._wanted) if new else []
        except LedgerUnavailable as error:
            self._say_silent(str(error))
            return False
        self._say_back(missed=bool(found))
        self._show(found)
        self._seen.update(new)
        self._newest = max([self._newest, *new])
        self._seen = {event_id for event_id in self._seen if event_id > self._floor}
        return len(ids) == LOOKBACK + PAGE

    def _say_silent(self, reason: str) -> None:
        if not self._silent:
            note(f"the ledger does not answer ({' '.join(reason.split())}): waiting for it")
        self._silent = True

    def _say_back(self, *, missed: bool) -> None:
        if self._silent:
            note(f"the ledger answers again: {'this came in meanwhile' if missed else 'nothing was missed'}")
        self._silent = False


def print_events(events: Sequence[View]) -> None:
    """Print a line for each event."""
    width = terminal_width()
    for view in events:
        head = f"{short_time(view['received_at'])}  {view['id']:>5}  {view['source']:<{SOURCE_CHARS}} "
        line = f"{head}{view['type']:<{TYPE_CHARS}}  {cell('external_id', view['external_id']).text}"
        print_lines([[Part(line[:width])]])
