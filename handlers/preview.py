"""What it would mean to run stored events again: which handlers, how much money, whose. Said before anybody says yes.

Views, which the commands show and the HTTP API answers.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from handlers.payments.stake import Stake
from ledger.claims import load_events
from ledger.replays import Found, effects_recorded
from ledger.selection import Selected, SelectedEvents
from ledger.views import View

PAGE = 200
# Events whose bodies are in memory at one time.


def of_replay(db: Connection, found: Found) -> View:
    """Say what a replay of this would do."""
    return {
        "events": len(found.event_ids),
        "deliveries_to_run": len(found.items),
        "handlers": dict(sorted(Counter(item.handler for item in found.items).items())),
        "effects_recorded": effects_recorded(db, found.items),
        **_stake(db, found.event_ids),
        "waiting": found.waiting,
        "payload_pruned": found.pruned,
        "more": found.more,
    }


def of_deliveries(db: Connection, found: Selected) -> View:
    """Say what it would mean to retry or to dismiss these."""
    return {
        "events": len(found.event_ids),
        "deliveries": len(found.deliveries),
        "handlers": dict(found.handlers),
        "effects": found.effects,
        **_stake(db, found.event_ids),
        "more": found.more,
    }


def of_events(db: Connection, found: SelectedEvents) -> View:
    """Say what it would mean to send these to somebody."""
    return {
        "events": len(found.ids),
        **_stake(db, found.ids),
        "payload_pruned": found.pruned,
        "more": found.more,
    }


def _stake(db: Connection, event_ids: Sequence[int]) -> View:
    stake = Stake()
    for start in range(0, len(event_ids), PAGE):
        stake.add(db, load_events(db, event_ids[start : start + PAGE]).values())
    return {
        "overtaken": stake.overtaken,
        "amounts": dict(sorted(stake.amounts.items())),
        "test_amounts": dict(sorted(stake.test_amounts.items())),
        "customers": len(stake.customers),
    }
