"""The samples are like the real thing, and every trigger is a new one."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from random import Random
from typing import Any
from urllib.parse import parse_qs

import pytest

from cli.sample import (
    ID_MARK,
    NUMBER_MARK,
    SAMPLED_AT,
    UNIX_TIMES,
    BadOverride,
    UnknownPath,
    UnknownSample,
    freshen,
    list_samples,
    load_sample,
)
from handlers.errors import RetryLater
from ledger.event import FORM, JSON, read_payload
from tests.handlers.desk import Desk

ALL = [(source, type_) for source in ("github", "slack", "stripe") for type_ in list_samples(source)]
LATER = SAMPLED_AT + 3_000_000.75
TIME_NAMES = re.compile(r"created|.*(_at|_by|_on|_time|_date|_attempt|_anchor|end|start)")


def fresh(source: str, type_: str, *overrides: str, now: float = LATER, seed: int = 1) -> dict[str, Any]:
    webhook = freshen(load_sample(source, type_), overrides, now=now, random=Random(seed))  # noqa: S311  # no secret
    return read_payload(webhook.content_type, webhook.body)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # JSON is any of six types
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else ((name, each) for each in value)
        for key, each in pairs:
            yield from leaves(each, key)
    else:
        yield name, value


FINANCE = {
    "payment_intent": "succeeded payment_failed canceled requires_action processing amount_capturable_updated "
    "partially_funded created",
    "charge": "succeeded failed captured pending expired refunded updated refund.updated",
    "charge.dispute": "created updated closed funds_withdrawn funds_reinstated",
    "radar.early_fraud_warning": "created updated",
    "review": "opened closed",
    "refund": "created updated failed",
    "invoice": "payment_failed payment_action_required payment_attempt_required payment_succeeded paid "
    "finalization_failed overdue will_be_due overpaid upcoming marked_uncollectible voided sent created finalized "
    "updated deleted",
    "invoice_payment": "paid",
    "customer.subscription": "created updated deleted paused resumed trial_will_end pending_update_applied "
    "pending_update_expired",
    "subscription_schedule": "aborted canceled expiring",
    "payout": "failed paid created updated canceled reconciliation_completed",
    "balance": "available",
    "topup": "failed reversed succeeded",
    "transfer": "created reversed updated",
    "checkout.session": "completed async_payment_succeeded async_payment_failed expired",
    "credit_note": "created voided",
    "reserve.hold": "created updated",
    "reporting.report_run": "succeeded failed",
    "v1": "charge.dispute.created payment_intent.payment_failed payout.failed refund.failed",
    "v2.core.health.event_generation_failure": "resolved",
}


def test_there_are_samples_of_what_a_finance_team_cares_about() -> None:
    named = {f"{group}.{name}" for group, names in FINANCE.items() for name in names.split()}
    assert named == set(list_samples("stripe"))


def test_there_are_samples_of_an_older_version_of_stripes_api() -> None:
    older = {type_ for type_ in list_samples("stripe") if api_version(type_) == "2024-06-20"}
    assert older == {"charge.updated", "customer.subscription.updated", "invoice.payment_succeeded"}


def api_version(type_: str) -> object:
    return load_sample("stripe", type_).payload.get("api_version")


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_every_sample_passes_the_handlers_that_want_it(desk: Desk, source: str, type_: str) -> None:
    # A thin event waits for its twin, where Stripe cannot be asked.
    with pytest.raises(RetryLater) if type_.startswith("v1.") else nullcontext():
        desk.deliver(fresh(source, type_), source=source, type_=type_)


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_every_sample_is_what_its_file_is_called(source: str, type_: str) -> None:
    payload = load_sample(source, type_).payload
    event = payload.get("event", payload)
    named = payload.get("command") if type_ == "slash_command" else payload.get("action") or event.get("type")
    assert named in (type_, type_.partition(".")[2], "/hookline", None if type_ in ("ping", "push") else type_)


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_two_triggers_share_no_id(source: str, type_: str) -> None:
    one, other = (json.dumps(fresh(source, type_, seed=seed)) for seed in (1, 2))
    assert ID_MARK not in one
    assert NUMBER_MARK not in one
    assert one != other or type_ == "push"  # which has no id but its commits'


def test_the_ids_inside_one_trigger_go_on_belonging_together() -> None:
    event = fresh("stripe", "charge.dispute.created")
    suffix = event["id"].removeprefix("evt_3")
    dispute = event["data"]["object"]
    assert (dispute["id"], dispute["charge"]) == (f"du_1{suffix}", f"ch_3{suffix}")
    assert dispute["balance_transactions"][0]["source"] == dispute["id"]


def test_a_number_that_is_an_id_stays_a_number_and_its_addresses_follow() -> None:
    run = fresh("github", "workflow_run.completed")["workflow_run"]
    assert isinstance(run["id"], int)
    assert run["html_url"].endswith(f"/actions/runs/{run['id']}")


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_only_what_is_called_a_time_is_moved(source: str, type_: str) -> None:
    for name, value in leaves(load_sample(source, type_).payload):
        if type(value) is int and value in UNIX_TIMES:
            assert TIME_NAMES.fullmatch(name), name


def test_times_move_with_the_trigger_and_keep_their_distance() -> None:
    event = fresh("stripe", "charge.dispute.created")
    sampled = load_sample("stripe", "charge.dispute.created").payload["data"]["object"]
    assert event["created"] == round(LATER)
    due_by = event["data"]["object"]["evidence_details"]["due_by"]
    assert due_by - round(LATER) == sampled["evidence_details"]["due_by"] - SAMPLED_AT


def test_every_vendors_way_to_write_a_time_is_moved() -> None:
    assert fresh("stripe", "v1.charge.dispute.created")["created"] == "2026-12-04T05:20:01.000Z"
    assert fresh("github", "workflow_run.completed")["workflow_run"]["updated_at"] == "2026-12-04T05:20:01Z"
    assert fresh("slack", "app_mention")["event"]["ts"] == f"{round(LATER)}.000200"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("data.object.amount=500", ("data", "object", "amount"), 500),
        ("data.object.currency=jpy", ("data", "object", "currency"), "jpy"),
        ("data.object.description=a=b", ("data", "object", "description"), "a=b"),
        ('data.object.customer={"id":"cus_2"}', ("data", "object", "customer"), {"id": "cus_2"}),
        ("data.object.metadata.note=new", ("data", "object", "metadata", "note"), "new"),
        ("data.object.payment_method_types.1=sepa", ("data", "object", "payment_method_types", 1), "sepa"),
        ("livemode=true", ("livemode",), True),
        ("data.object.description=", ("data", "object", "description"), ""),
    ],
)
def test_an_override_puts_a_value_in_its_place(override: str, path: tuple[str | int, ...], value: object) -> None:
    place: Any = fresh("stripe", "payment_intent.created", override)
    for key in path:
        place = place[key]
    assert place == value


@pytest.mark.parametrize("path", ["data.objekt.amount", "data.object.amount.cents", "data.object.hooks.0.x", "id.x"])
def test_an_override_without_a_place_is_refused_by_name(path: str) -> None:
    with pytest.raises(UnknownPath, match=re.escape(path)):
        fresh("stripe", "payment_intent.created", f"{path}=1")


def test_an_override_past_the_end_of_a_list_is_refused() -> None:
    with pytest.raises(UnknownPath, match="there is no '2'"):
        fresh("stripe", "payment_intent.created", "data.object.payment_method_types.2=sepa")


@pytest.mark.parametrize("override", ["amount", "=5", ""])
def test_an_override_without_a_name_or_a_value_is_refused(override: str) -> None:
    with pytest.raises(BadOverride):
        fresh("stripe", "payment_intent.created", override)


@pytest.mark.parametrize(
    ("source", "type_"), [("stripe", "payment.failed"), ("paypal", "x"), ("stripe", "../github/ping")]
)
def test_an_unknown_sample_is_refused_with_a_list_of_those_there_are(source: str, type_: str) -> None:
    with pytest.raises(UnknownSample, match=r"charge\.refunded|none of this source"):
        load_sample(source, type_)


def test_a_webhook_says_where_and_as_what_it_is_posted() -> None:
    def shape(source: str, type_: str) -> tuple[str, str, str | None]:
        webhook = freshen(load_sample(source, type_), [], now=LATER, random=Random(1))  # noqa: S311  # no secret
        return webhook.path, webhook.content_type, webhook.event_name

    assert shape("stripe", "charge.refunded") == ("/webhooks/stripe", JSON, None)
    assert shape("github", "workflow_run.completed") == ("/webhooks/github", JSON, "workflow_run")
    assert shape("slack", "app_mention") == ("/webhooks/slack/events", JSON, None)
    assert shape("slack", "slash_command") == ("/webhooks/slack/commands", FORM, None)
    assert shape("slack", "block_actions") == ("/webhooks/slack/interactivity", FORM, None)


def test_an_interaction_is_a_form_with_the_object_in_one_field() -> None:
    sample = load_sample("slack", "block_actions")
    form = parse_qs(freshen(sample, [], now=LATER, random=Random(1)).body.decode())  # noqa: S311  # no secret
    assert json.loads(form["payload"][0])["type"] == "block_actions"


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_no_sample_has_anything_like_a_real_secret_or_person_in_it(source: str, type_: str) -> None:
    text = json.dumps(load_sample(source, type_).payload)
    assert not re.search(r"(sk|rk|pk)_(live|test)|whsec_|ghp_|github_pat_|xox[abp]-|AKIA", text)
    addresses = re.findall(r"[\w.]+@([\w.-]+)", text)
    assert set(addresses) <= {"example.com", "github.com"}
