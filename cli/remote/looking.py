"""Lists, single events and the tail of a service elsewhere, for the commands that show them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cli.ending import Ending
from cli.errors import Disconnected, NotDone
from cli.listen.stream import position_at, unseen
from cli.remote.api import Api, View, place
from cli.remote.hands import RemoteHands, fields, moment
from cli.show import check_reader, note

if TYPE_CHECKING:
    from handlers.payments.views import Wanted
    from ledger.views import Filter

OWN = "hookline"
# The source of what Hookline says of itself, which no list has unless it is asked for (ledger.own).

PAGE = 200
# As many as the API gives at once.
INTERVAL_S = 1.0


def pages(api: Api, what: str, wanted: "Filter", before: str | None) -> Iterator[tuple[list[View], bool]]:
    """Give a list page by page, and of each whether there is more; as many rows as `wanted.limit`."""
    left = wanted.limit or 0
    asked = fields(wanted)
    if what == "events" and before is not None and not before.isdigit():
        before = str(api.get(f"/events/{place(before)}")["id"])  # named as the provider does
    if what == "requests":
        asked = {"source": asked["source"], "reason": asked["state"], "since": asked["since"], "until": asked["until"]}
    while left:
        told = api.get(f"/{what}", **{**asked, "limit": min(left, PAGE), "before": before})
        views = told[what]
        left -= len(views)
        before = told["next"]
        asked["since"] = asked["since"] or told.get("since")  # else each page would go back 24 h from where it begins
        yield views, before is not None
        if before is None:
            return


def list_objects(api: Api, wanted: "Wanted", *, limit: int) -> tuple[list[View], bool]:
    """List what the book keeps, and say whether there is more."""
    mode = {None: None, True: "live", False: "test"}[wanted.livemode]
    asked = {name: getattr(wanted, name) for name in ("kind", "state", "customer", "currency")}
    asked |= {"mode": mode, "since": moment(wanted.since), "until": moment(wanted.until)}
    found: list[View] = []
    before = None
    with closing(api):
        while True:
            told = api.get("/payments", **asked, limit=min(limit - len(found), PAGE), before=before)
            found += told["objects"]
            before = told["next"]
            if before is None or len(found) >= limit:
                return found, before is not None


def list_audit(api: Api, *, limit: int, before: int | None) -> list[View]:
    """List entries of the audit log."""
    return _list(api, "/audit", "entries", limit, before)


def list_replays(api: Api, *, limit: int) -> list[View]:
    """List replays, newest first."""
    return _list(api, "/replays", "replays", limit, None)


def _list(api: Api, path: str, what: str, limit: int, before: int | None) -> list[View]:
    found: list[View] = []
    with closing(api):
        while True:
            told = api.get(path, limit=min(limit - len(found), PAGE), before=before)
            found += told[what]
            before = told["next"]
            if before is None or len(found) >= limit:
                return found


def get_event(api: Api, address: str, *, with_body: bool) -> tuple[View, bytes | None]:
    """Give one event, and its body if it is wanted, there, and the token lets us.

    Raises:
        NotDone: there is no such event, or the service refuses.

    """
    with closing(api):
        view = api.get(f"/events/{place(address)}") if address else None
        if view is None:
            raise NotDone("there is no event ''")
        allowed = "headers" in view
        body = api.raw(f"/events/{view['id']}/raw") if with_body and allowed and not view["payload_pruned_at"] else None
    view.setdefault("headers", {})  # a token without the scope payload is not shown them
    return view, body


def tail(api: Api, wanted: "Filter", show: Callable[[Sequence[View]], None]) -> None:
    """Show events that match as they come in, until Ctrl-C or SIGTERM. `wanted.since`: those since then first."""
    ending = Ending()
    ending.listen()
    # Only where it is asked for: a service of an older version does not know the question.
    hands = RemoteHands(api, source=wanted.source if wanted.source == OWN else None)
    try:
        position = position_at(hands, since=wanted.since)
        silent = False
        while not ending.is_asked_for():
            try:
                new = unseen(hands, position)
            except Disconnected as error:
                if not silent:
                    note(f"{error}: waiting for it")
                silent = True
                time.sleep(INTERVAL_S)
                continue
            if silent:
                note(f"{api.url} answers again: {'this came in meanwhile' if new else 'nothing was missed'}")
                silent = False
            show([view for view in new if _matches(view, wanted)])
            for view in new:
                position.mark(view["id"])
            if not new:
                check_reader()
                time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return


def _matches(view: View, wanted: "Filter") -> bool:
    return (
        wanted.source in (None, view["source"])
        and wanted.account in (None, view["account"])
        and fnmatchcase(view["type"], (wanted.type or "*").replace("[", "[[]").replace("?", "[?]"))
        and (wanted.handler is None or wanted.handler in {each["handler"] for each in view["deliveries"]})
    )
