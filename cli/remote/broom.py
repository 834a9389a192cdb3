"""Lets old events of a service elsewhere go, as `hookline prune` does beside its ledger."""

import threading
from collections.abc import Callable

from cli.remote.api import Api, View
from ledger.prune import Pruned
from ledger.schedule import DAY_S

MAX_AGE_DAYS = 36_500
# As much as the API takes. Nothing is as old as that.


class RemoteBroom:
    """Asks again and again, for each time it works for some seconds only."""

    def __init__(self, api: Api, payload_after_s: float | None, identity_after_s: float | None) -> None:
        self._api = api
        self._ages = {"payload_after_days": _days(payload_after_s), "identity_after_days": _days(identity_after_s)}

    def preview(self) -> Pruned:
        """Say what would go."""
        told = self._api.post("/prunings", dry_run=True, **self._ages)
        return _add(Pruned(unfinished=told["unfinished"]), told)

    def prune(self, *, stopping: threading.Event, said: Callable[[Pruned], None]) -> Pruned:
        """Do it until nothing is left; `said` hears after each time how far it is. The service writes each down."""
        done = Pruned()
        while not stopping.is_set():
            told = self._api.post("/prunings", dry_run=False, **self._ages)
            _add(done, told)
            said(done)
            if not told["interrupted"]:
                break
        return done


def _days(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds / DAY_S, MAX_AGE_DAYS)


def _add(to: Pruned, told: View) -> Pruned:
    to.deleted += told["events_deleted"]
    to.emptied += told["payloads_emptied"]
    return to
