"""`hookline retry` and `hookline replay`, on a service that runs."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import House, run_house
from tests.system.parcel import make_dispute, make_spare
from tests.system.service import copy_checkout

log = logging.getLogger(__name__)

GIVES_UP = """
from handlers.errors import GiveUp
from handlers.router import handler


@handler(source="stripe", types=["product.created"])
def payout(event, ctx):
    raise GiveUp("nobody has written this yet")
"""

WORKS = """
from handlers.router import handler


@handler(source="stripe", types=["product.created"])
def payout(event, ctx):
    ctx.post(event, key=f"paid:{event.external_id}", channel=ctx.channels.finance, text="A payout is paid", blocks=[])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[House]:
    """A house with a handler that gives up."""
    place = tmp_path_factory.mktemp("again")
    yield from run_house(place, checkout=copy_checkout(place, {"paid": GIVES_UP}), nursery=nursery)


def test_a_replay_runs_the_handlers_again_and_posts_nothing_twice(house: House) -> None:
    service = house.service
    parcel = make_dispute()
    dispute = json.loads(parcel.body)["data"]["object"]["id"]
    house.sender.send(parcel)
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))

    replayed = service.cli("replay", parcel.external_id, "--json", "--yes")

    assert replayed.returncode == 0, replayed.stderr
    deliveries = service.ledger.deliveries(parcel.external_id)
    assert json.loads(replayed.stdout)["deliveries"] == [row["id"] for row in deliveries]
    service.wait_for(lambda: [row["attempts"] for row in service.ledger.deliveries(parcel.external_id)] == [2, 2])
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))
    for delivery in deliveries:
        history = [(row["trigger"], row["outcome"]) for row in service.ledger.attempts(delivery["id"])]
        assert history == [("initial", "done"), ("replay", "done")]
    assert len(service.ledger.rows("SELECT * FROM disputes WHERE id = ?", dispute)) == 1
    assert [row["attempts"] for row in service.ledger.effects(parcel.external_id)] == [1]
    assert len(house.slack.posts_about(dispute)) == 1


def test_a_dead_delivery_raises_an_alarm_and_is_retried_when_its_handler_is_mended(house: House) -> None:
    service, sender, slack = house.service, house.sender, house.slack
    before = len(slack.posts)
    parcel = make_spare()
    sender.send(parcel)
    service.wait_for(lambda: [row["state"] for row in service.ledger.deliveries(parcel.external_id)] == ["dead"])
    (dead,) = service.ledger.deliveries(parcel.external_id)
    assert (dead["attempts"], dead["last_error"]) == (1, "nobody has written this yet")
    service.wait_for(lambda: bool(slack.posts_about("Dead: 1 delivery.")))
    (service.checkout / "handlers" / "paid.py").write_text(WORKS)
    log.info("the worker ended %.1f s after SIGTERM", service["worker"].stop())
    service.start("worker")

    retried = service.cli("retry", str(dead["id"]))

    assert retried.returncode == 0, retried.stderr
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))
    history = [(row["trigger"], row["outcome"]) for row in service.ledger.attempts(dead["id"])]
    assert history == [("initial", "dead"), ("retry", "done")]
    service.wait_for(lambda: bool(slack.posts_about("Healed after")))
    assert len(slack.posts_about("A payout is paid")) == 1
    assert len(slack.posts) == before + 2  # the alarm healed where it was
