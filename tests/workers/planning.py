"""Messages to send, planned as handlers plan them, and the passing of time."""

import time
from typing import Any

from sqlalchemy import func, select, update

from ledger import effects
from ledger.effects import About
from ledger.store import Ledger
from ledger.tables import channels
from ledger.tables import effects as effects_table
from tests.cli.dev.waiting import wait_until
from tests.ledger.making import plan_effect
from tests.system.slack_stand_in import FINANCE, SlackStandIn
from workers.send import Sender

FOLD_AT = 10
ABOUT = About(alike="failed_payment/live", fold_at=FOLD_AT)


def message(text: str) -> dict[str, Any]:
    return {"text": text, "blocks": []}


def plan(ledger: Ledger, *keys: str, **values: Any) -> None:
    with ledger.write() as db:
        for key in keys:
            given: dict[str, Any] = {"channel": FINANCE, "message": message(key), "now": time.time(), **values}
            plan_effect(db, event_id=1, delivery_id=1, key=key, **given)


def show(ledger: Ledger, key: str, text: str, *, stays_folded: bool = False) -> None:
    with ledger.write() as db:
        its = {"event_id": 1, "delivery_id": 1, "channel": FINANCE, "about": ABOUT}
        effects.show(db, key=key, message=message(text), now=time.time(), stays_folded=stays_folded, **its)  # type: ignore[arg-type]


def states(ledger: Ledger) -> dict[str, int]:
    with ledger.read() as db:
        column = effects_table.c.state
        return dict(db.execute(select(column, func.count()).group_by(column)).all())


def let_time_pass(ledger: Ledger, slack: SlackStandIn) -> None:
    """As if the rests were over."""
    slack.between_posts_s = 0
    with ledger.write() as db:
        db.execute(update(channels).values(next_at=0))
        db.execute(update(effects_table).where(effects_table.c.state == "planned").values(due_at=time.time() - 1))


def send_all(ledger: Ledger, sender: Sender) -> None:
    """Ring until nothing is due, as the sweeper does: on a busy machine a rest is over before the lane looks at it."""

    def nothing_is_due() -> bool:
        sender.send()
        due = effects_table.c.state == "planned", effects_table.c.due_at <= time.time()
        with ledger.read() as db:
            return db.execute(select(func.count()).select_from(effects_table).where(*due)).scalar_one() == 0

    wait_until(nothing_is_due, timeout_s=60)
