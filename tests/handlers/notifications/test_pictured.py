"""How cases and storms look at several points of their lives, word for word; docs/alerts.md shows pictures of them.

HOOKLINE_WRITE_GOLDEN=1 writes the golden files anew; `make pictures` then draws them.
"""

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from cli.sample import SAMPLED_AT
from config.rules import KINDS
from docs.pictures.render import GOLDEN, HERE, PICTURES, draw
from handlers.notifications.storm import render_storm
from handlers.router import Router
from ledger.effects import Effect
from ledger.line import LIST
from ledger.tables import cases, effects
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, Post, open_desk, sample
from tests.handlers.notifications.test_cases import DISPUTE, INVOICE, SUSPICION, declined, event

CASES = Path(GOLDEN) / "pictured"

MARA = "U0QKMARA01"

FAILED = "payment_intent.payment_failed"

CUSTOMERS = ("Ada", "Grace", "Edsger", "Barbara", "Alan")
REASONS = ("insufficient_funds", "insufficient_funds", "lost_card")


@pytest.fixture
def desk(engine: Engine, router: Router) -> Iterator[Desk]:
    with open_desk(engine, router, allowed_users=frozenset({MARA})) as desk:
        yield desk


def only(desk: Desk) -> Mapping[str, Any]:
    (post,) = desk.posts()
    return _as_sent(post)


def _as_sent(post: Post) -> Mapping[str, Any]:
    return {"text": post.text, "blocks": post.blocks}


def opened(desk: Desk) -> Mapping[str, Any]:
    desk.deliver(DISPUTE[0])
    return only(desk)


def acknowledged(desk: Desk) -> Mapping[str, Any]:
    desk.deliver(DISPUTE[0])
    desk.db.execute(update(cases).values(acknowledged_by=MARA, acknowledged_at=SAMPLED_AT + 600))
    desk.deliver(DISPUTE[3])
    return only(desk)


def won(desk: Desk) -> Mapping[str, Any]:
    for each in DISPUTE:
        desk.deliver(each)
    return only(desk)


def thread(desk: Desk) -> Mapping[str, Any]:
    """Give all lines of a thread in one: a picture of it."""
    won(desk)
    lines = [block for line in desk.lines().values() for block in line.blocks]
    return {"text": "The thread of a dispute that was won", "blocks": lines}


def failing(desk: Desk) -> Mapping[str, Any]:
    return of_invoice(desk, [*INVOICE[:2], declined(0, "insufficient_funds", "ch_in_1", invoice="in_1")])


def paid(desk: Desk) -> Mapping[str, Any]:
    return of_invoice(desk, [*INVOICE, declined(0, "insufficient_funds", "ch_in_1", invoice="in_1")])


def of_invoice(desk: Desk, events: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
    for each in events:
        desk.deliver(each)
    (post,) = (post for post in desk.posts() if post.key.endswith("/in_1"))
    return _as_sent(post)


def suspicious(desk: Desk) -> Mapping[str, Any]:
    desk.deliver(event("0", "payment_intent.succeeded", 0, id="pi_1", amount=4_900, currency="usd", status="succeeded"))
    for each in SUSPICION[:2]:
        desk.deliver(each)
    return only(desk)


def storm(desk: Desk) -> Mapping[str, Any]:
    return folded(desk, "")


def storm_list(desk: Desk) -> Mapping[str, Any]:
    return folded(desk, LIST)


def folded(desk: Desk, which: str) -> Mapping[str, Any]:
    """Fold failed payments into one message; give it, or the list in its thread."""
    for number in range(12):
        about = {
            "id": f"pi_{number}",
            "amount": 4_900 + 100 * number,
            "currency": ("eur", "usd")[number % 2],
            "latest_charge": f"ch_{number}",
            "customer": f"cus_{CUSTOMERS[number % 5]}",
        }
        changes: dict[str, Any] = {f"data__object__{name}": value for name, value in about.items()}
        changes["data__object__last_payment_error__decline_code"] = REASONS[number % 3]
        desk.deliver(sample(FAILED, id=f"evt_{number}", livemode=True, **changes))
    told = desk.db.execute(select(effects.c.id)).scalars().all()
    shared = {"event_id": 1, "delivery_id": 1, "channel": "#finance", "state": "sending"}
    shared |= {"message": "{}", "planned_at": 0, "due_at": 0}
    root: int = desk.db.execute(insert(effects).returning(effects.c.id), {**shared, "key": "storm/1"}).scalar_one()
    desk.db.execute(update(effects).where(effects.c.id.in_(told)).values(folded_into=root))
    effect = Effect(
        id=root,
        event_id=1,
        key=f"storm/1{which}",
        channel="#finance",
        message={"text": "", "blocks": [], "storm": "failed_payment/live"},
        planned_at=0,
        attempts=1,
        failures=0,
        first_attempt_at=0,
        lost_answers=0,
    )
    message = render_storm(desk.db, effect).message
    return {"text": message["text"], "blocks": message["blocks"]}


LIVES: Mapping[str, Callable[[Desk], Mapping[str, Any]]] = {
    "dispute_opened": opened,
    "dispute_acknowledged": acknowledged,
    "dispute_won": won,
    "dispute_thread": thread,
    "subscription_failing": failing,
    "subscription_paid": paid,
    "suspicious_payment": suspicious,
    "storm": storm,
    "storm_list": storm_list,
}


@DESK_ON_SQLITE
@pytest.mark.parametrize("name", LIVES)
def test_a_case_looks_as_in_its_golden_file(desk: Desk, name: str) -> None:
    path = CASES / f"{name}.json"
    told = json.dumps(LIVES[name](desk), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_every_golden_file_of_a_case_belongs_to_a_point_of_its_life() -> None:
    assert {path.stem for path in CASES.glob("*.json")} == LIVES.keys()


def test_the_pictures_in_the_docs_show_what_is_posted_now() -> None:
    drawn = {name: draw(name) for name in PICTURES}
    assert {path.stem: path.read_text(encoding="utf-8") for path in HERE.glob("*.svg")} == drawn


def test_every_picture_is_shown_in_the_docs() -> None:
    page = (HERE.parent / "alerts.md").read_text(encoding="utf-8")
    assert [name for name in PICTURES if f"pictures/{name}.svg" not in page] == []


def test_every_key_of_the_rules_is_explained_in_the_docs() -> None:
    page = (HERE.parent / "alerts.md").read_text(encoding="utf-8")
    shipped = tomllib.loads((HERE.parents[1] / "config" / "alerts.toml").read_text(encoding="utf-8"))
    keys = {
        *KINDS,
        *shipped["digest"],
        *shipped["watch"],
        *(key for rule in shipped["alerts"].values() for key in rule),
    }
    assert {key for key in keys if f"`{key}`" not in page} == set()
