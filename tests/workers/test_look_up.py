"""What an event does not say is asked of Stripe, outside of every transaction, and entered once."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import select, update

from cli.sample import SAMPLED_AT
from config.metrics import uncounted
from config.settings import load_settings
from config.traces import Traces
from handlers.context import Channels
from handlers.payments.look_up import look_up
from handlers.payments.tables import disputes, history, objects
from handlers.payments.views import find_object, get_object
from handlers.router import Router, load_router
from ledger import look_ups
from ledger.again import retry_deliveries
from ledger.event import JSON, NewDelivery, NewEvent
from ledger.store import Ledger
from ledger.tables import attempts, deliveries, events
from tests.engines import ON_SQLITE
from tests.handlers.desk import sample
from tests.handlers.payments.test_objects import Payload, told
from tests.ledger.making import new_event, store
from tests.workers.stripe_stand_in import KEY, StripeStandIn, open_stripe
from workers.ask import make_stripe
from workers.deliver import Deliverer
from workers.look_up import NOT_SIGNED, LookUps
from workers.report import Report
from workers.watch import Watch

SUBSCRIPTION, DISPUTE, CHARGE = "sub_1SAMPLE0000", "du_1SAMPLE0000", "ch_3SAMPLE0000"
THIN = sample("v1.charge.dispute.created", id="evt_thin", livemode=True)
TWIN = told(7, "charge.dispute.created", 0)


class Office:
    """A worker process in small: takes events in, and runs what is to be done."""

    def __init__(self, ledger: Ledger, router: Router, stripe: StripeStandIn, *, key: str = KEY) -> None:
        self.ledger = ledger
        self._router = router
        report = Report(metrics=uncounted(), traces=Traces())
        watch = Watch(ledger)
        settings = load_settings({"STRIPE_API_KEY": key, "STRIPE_API_URL": stripe.url})
        asked = make_stripe(settings)
        self._deliverer = Deliverer(
            ledger=ledger,
            router=router,
            channels=Channels(finance="#finance", engineering="#engineering"),
            watch=watch,
            ring_effects=lambda: None,
            report=report,
            asks_stripe=settings.stripe_modes,
        )
        self._look_ups = asked and LookUps(
            ledger=ledger, router=router, stripe=asked, watch=watch, report=report, ring=lambda _: None
        )

    def take(self, *payloads: Payload) -> None:
        """Take in events, and do all that follows from them."""
        for payload in payloads:
            store(self.ledger, self._new(payload))
            self.work()

    def work(self) -> None:
        """Do all there is to do, as the sweeper announces it."""
        while waiting := self._waiting():
            for queue, ids in waiting.items():
                if queue == look_ups.QUEUE and self._look_ups:
                    self._look_ups.look_up(ids)
                else:
                    self._deliverer.deliver(ids)

    def run(self, ids: list[int]) -> None:
        """Have a worker that cannot ask anybody run these."""
        self._deliverer.deliver(ids)

    def _waiting(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        due = deliveries.c.state.in_(["queued", "pending"])
        with self.ledger.read() as db:
            for row in db.execute(select(deliveries.c.queue, deliveries.c.id).where(due)):
                found[row.queue].append(row.id)
        return found

    def _new(self, payload: Payload) -> NewEvent:
        wanted = self._router.matching("stripe", payload["type"])
        event = new_event(
            key=payload["id"],
            type=payload["type"],
            livemode=payload["livemode"],
            account=payload.get("context") or payload.get("account"),
            content_type=JSON,
            body=json.dumps(payload).encode(),
            handlers=(),
        )
        owed = tuple(NewDelivery(handler=each.name, queue=each.queue) for each in wanted)
        return event._replace(deliveries=owed)

    def rows(self, table: Any) -> list[Any]:
        with self.ledger.read() as db:
            return list(db.execute(select(table)).mappings())

    def look_up(self) -> Any:
        """Give the one look-up there is."""
        [row] = [row for row in self.rows(deliveries) if row["handler"] == look_ups.HANDLER]
        return row

    def object(self, name: str) -> dict[str, Any]:
        with self.ledger.read() as db:
            address = find_object(db, name)
            assert address is not None
            return get_object(db, address) or {}


@pytest.fixture(scope="module")
def router() -> Router:
    return load_router()


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    with open_stripe() as stand_in:
        stand_in.now = SAMPLED_AT + 5
        yield stand_in


@pytest.fixture
def office(ledger: Ledger, router: Router, stripe: StripeStandIn) -> Office:
    return Office(ledger, router, stripe)


def contradicting() -> list[Payload]:
    """Give two events of one second, of which nothing tells the later one."""
    return [
        told(number, "customer.subscription.updated", 0, status=status)
        for number, status in ((1, "active"), (2, "past_due"))
    ]


def test_where_two_events_contradict_each_other_stripe_says_which_came_last(
    office: Office, stripe: StripeStandIn
) -> None:
    stripe.objects[f"/v1/subscriptions/{SUBSCRIPTION}"] = contradicting()[0]["data"]["object"]
    office.take(*contradicting())
    subscription = office.object(SUBSCRIPTION)
    assert (subscription["state"], subscription["contested_by"]) == ("active", [])
    assert [each["type"] for each in subscription["history"]][-1] == "looked_up"
    row = office.look_up()
    assert (row["state"], row["queue"]) == ("done", "lookups")
    [attempt] = [each for each in office.rows(attempts) if each["delivery_id"] == row["id"]]
    assert attempt["trigger"] == "reconciled"
    office.take(told(3, "customer.subscription.updated", 60))
    assert office.object(SUBSCRIPTION)["state"] == "past_due"
    assert look_up.name == look_ups.HANDLER


@ON_SQLITE
def test_without_a_key_the_contradiction_is_recorded_and_nobody_is_asked(
    ledger: Ledger, router: Router, stripe: StripeStandIn
) -> None:
    office = Office(ledger, router, stripe, key="")
    office.take(*contradicting())
    assert office.object(SUBSCRIPTION)["contested_by"] == ["evt_01", "evt_02"]
    assert stripe.asked == []
    assert look_ups.HANDLER not in {row["handler"] for row in office.rows(deliveries)}


@ON_SQLITE
def test_a_key_is_asked_about_its_own_mode_only(ledger: Ledger, router: Router, stripe: StripeStandIn) -> None:
    office = Office(ledger, router, stripe, key="rk_test_no_real_one")
    office.take(*contradicting())
    assert look_ups.HANDLER not in {row["handler"] for row in office.rows(deliveries)}
    modes = {"sk_live_": {True}, "rk_test_": {False}, "anything": {True, False}, "": set()}
    assert {key: set(load_settings({"STRIPE_API_KEY": key}).stripe_modes) for key in modes} == modes


@ON_SQLITE
def test_what_a_charge_cost_is_asked_where_no_event_says_it(office: Office, stripe: StripeStandIn) -> None:
    charge = told(1, "charge.succeeded", 0)
    settled = {"object": "balance_transaction", "id": "txn_1", "fee": 172, "net": 4728, "currency": "usd"}
    stripe.objects[f"/v1/charges/{CHARGE}"] = {**charge["data"]["object"], "balance_transaction": settled}
    office.take(charge)
    assert (office.object(CHARGE)["fee"], office.object(CHARGE)["net"]) == (172, 4728)
    office.take(told(2, "charge.updated", 3))
    assert [unquote(each) for each in stripe.asked] == [f"/v1/charges/{CHARGE}?expand[0]=balance_transaction"]


@pytest.mark.parametrize("first", ["thin", "twin"])
def test_a_thin_event_and_its_twin_count_once_whichever_comes_first(
    office: Office, stripe: StripeStandIn, first: str
) -> None:
    stripe.objects["/v2/core/events/evt_thin"] = {**THIN, "snapshot_event": TWIN["id"]}
    stripe.objects[f"/v1/events/{TWIN['id']}"] = TWIN
    office.take(*([THIN, TWIN] if first == "thin" else [TWIN, THIN]))
    assert sorted(row["external_id"] for row in office.rows(events)) == [TWIN["id"], "evt_thin"]
    assert [row["event"] for row in office.rows(history)] == [TWIN["id"]]
    assert [row["status"] for row in office.rows(disputes)] == ["needs_response"]
    assert {row["state"] for row in office.rows(deliveries)} == {"done"}
    [stored] = [row for row in office.rows(events) if row["external_id"] == TWIN["id"]]
    assert (stored["secret_position"] == NOT_SIGNED) == (first == "thin")


@ON_SQLITE
@pytest.mark.parametrize("gone", [True, False])
def test_a_thin_event_without_a_twin_is_told_by_its_object_as_it_is_now(
    office: Office, stripe: StripeStandIn, *, gone: bool
) -> None:
    thin = {**THIN, "context": "acct_1"}
    stripe.objects["/v2/core/events/evt_thin"] = {**thin, "snapshot_event": "evt_old" if gone else None}
    stripe.objects[f"/v1/disputes/{DISPUTE}"] = TWIN["data"]["object"]
    office.take(thin)
    [dispute] = office.rows(disputes)
    assert (dispute["account"], dispute["status"], dispute["version_created"]) == (
        "acct_1",
        "needs_response",
        stripe.now,
    )
    assert set(stripe.contexts) == {"acct_1"}
    assert [row["type"] for row in office.rows(events)] == ["v1.charge.dispute.created", "charge.dispute.created"]


@ON_SQLITE
def test_without_a_key_a_thin_event_waits_for_its_twin_then_says_what_it_needs_and_nothing_is_lost(
    ledger: Ledger, router: Router, stripe: StripeStandIn
) -> None:
    stripe.objects["/v2/core/events/evt_thin"] = {**THIN, "snapshot_event": TWIN["id"]}
    stripe.objects[f"/v1/events/{TWIN['id']}"] = TWIN
    office = Office(ledger, router, stripe, key="")
    office.take(THIN)
    waiting = office.look_up()
    assert waiting["state"] == "failed"
    assert "set it and run `hookline retry evt_thin`, unless its twin comes" in waiting["last_error"]
    with ledger.write() as db:
        db.execute(update(events).values(received_at=time.time() - 3_600))
        db.execute(update(deliveries).values(due_at=time.time()))
    office.run([office.look_up()["id"]])
    row = office.look_up()
    assert row["state"] == "dead"
    assert "needs STRIPE_API_KEY: set it and run `hookline retry --handler payments.look_up`" in row["last_error"]
    with ledger.write() as db:
        retry_deliveries(db, [row["id"]], now=time.time())
    Office(ledger, router, stripe).work()
    assert [row["status"] for row in office.rows(disputes)] == ["needs_response"]


def test_without_a_key_a_thin_event_whose_twin_came_is_done(
    ledger: Ledger, router: Router, stripe: StripeStandIn
) -> None:
    office = Office(ledger, router, stripe, key="")
    office.take(TWIN, THIN)
    assert office.look_up()["state"] == "done"
    assert len(office.rows(history)) == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("status", "headers", "state"),
    [
        (429, {"retry-after": "7"}, "failed"),
        (500, {}, "failed"),
        (403, {}, "failed"),
        (404, {}, "dead"),
        (400, {}, "dead"),
    ],
)
def test_what_stripe_refuses_now_is_asked_again_and_what_it_does_not_have_is_for_a_person(
    office: Office, stripe: StripeStandIn, status: int, headers: Mapping[str, str], state: str
) -> None:
    stripe.refusals["/v2/core/events/evt_thin"] = (status, headers)
    office.take(THIN)
    row = office.look_up()
    assert (row["state"], str(status) in row["last_error"]) == (state, True)
    if status == 429:
        assert row["due_at"] == pytest.approx(time.time() + 7, abs=3)


@ON_SQLITE
def test_a_wrong_key_is_tried_again_and_never_repeated_in_what_is_kept(
    ledger: Ledger, router: Router, stripe: StripeStandIn
) -> None:
    office = Office(ledger, router, stripe, key="rk_somebody_elses")
    office.take(THIN)
    row = office.look_up()
    assert row["state"] == "failed"
    assert "401" in row["last_error"]
    assert "somebody" not in row["last_error"]


@ON_SQLITE
@pytest.mark.parametrize("url", ["@example.com/x", "//example.com/x", "/v1/../../x y", "https://example.com/v1/x"])
def test_a_thin_event_cannot_make_us_ask_somebody_else(office: Office, stripe: StripeStandIn, url: str) -> None:
    thin = {**THIN, "related_object": {"id": "du_1", "type": "dispute", "url": url}}
    stripe.objects["/v2/core/events/evt_thin"] = {**thin, "snapshot_event": None}
    office.take(thin)
    assert (office.look_up()["state"], stripe.asked) == ("dead", ["/v2/core/events/evt_thin"])


@ON_SQLITE
def test_what_is_no_object_of_the_kind_is_for_a_person_and_changes_nothing(
    office: Office, stripe: StripeStandIn
) -> None:
    stripe.objects[f"/v1/subscriptions/{SUBSCRIPTION}"] = {"id": SUBSCRIPTION, "object": "subscription", "status": 7}
    office.take(*contradicting())
    assert (office.look_up()["state"], len(office.rows(objects))) == ("dead", 1)
    assert office.object(SUBSCRIPTION)["contested_by"] == ["evt_01", "evt_02"]
