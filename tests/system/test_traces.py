"""Traces: one webhook is one trace, from its request to the alert, through web and worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.collector import Collector, Seen
from tests.system.parcel import Parcel, make_dispute, make_parcel
from tests.system.secrets import SECRETS
from tests.system.sender import Sender
from tests.system.service import Service

STRANGER = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

STOPS_IN_S = 10.0
# What every process is given to end, collector or not.


@dataclass(frozen=True)
class Traced:
    """A service that tells a collector, and a provider that knows it."""

    service: Service
    collector: Collector
    sender: Sender


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[Traced]:
    """One for all tests of this file; the last of them breaks it."""
    place, collector = tmp_path_factory.mktemp("traced"), Collector()
    collector.start()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    service = Service(place, environ=environ, nursery=nursery)
    try:
        service.start()
        yield Traced(service, collector, Sender(service.url, place / "sender.jsonl"))
    finally:
        service.close()
        collector.stop()


def trace_of(traced: Traced, parcel: Parcel) -> dict[str, Seen]:
    """Wait for the trace of a dispute to be whole; give its spans by name and handler."""
    service, collector = traced.service, traced.collector
    service.wait_until_idle()
    event_id = service.ledger.event(parcel.external_id)["id"]

    def mine() -> list[Seen]:
        traces = {span.trace_id for span in collector.spans if span.attributes.get("event_id") == event_id}
        return [span for span in collector.spans if span.trace_id in traces]

    service.wait_for(lambda: {span.name for span in mine()} >= {"receive", "append", "deliver", "handle", "send"})
    service.wait_for(lambda: len(mine()) == 7)
    return {f"{span.name} {span.attributes.get('handler', '')}".strip(): span for span in mine()}


def test_a_webhook_is_one_trace_from_its_request_to_its_alert(traced: Traced) -> None:
    parcel = make_dispute()

    traced.sender.send(parcel)

    spans = trace_of(traced, parcel)
    receive, append = spans["receive"], spans["append"]
    deliver, handle = spans["deliver notifications.dispute"], spans["handle notifications.dispute"]
    send = spans["send"]
    assert len({span.trace_id for span in spans.values()}) == 1
    assert receive.parent_id == ""
    assert append.parent_id == deliver.parent_id == send.parent_id == receive.span_id
    assert spans["deliver payments.dispute"].parent_id == receive.span_id
    assert handle.parent_id == deliver.span_id
    assert [span.kind for span in (receive, append, deliver, handle, send)] == [
        "server",
        "internal",
        "consumer",
        "internal",
        "client",
    ]
    assert receive.began_ns <= append.began_ns <= append.ended_ns <= receive.ended_ns
    assert deliver.began_ns <= handle.began_ns <= handle.ended_ns <= deliver.ended_ns <= send.ended_ns
    (delivery,) = [
        row for row in traced.service.ledger.deliveries(parcel.external_id) if row["handler"] == "notifications.dispute"
    ]
    assert deliver.attributes == {
        "source": "stripe",
        "type": "charge.dispute.created",
        "event_id": delivery["event_id"],
        "delivery_id": delivery["id"],
        "handler": "notifications.dispute",
        "attempt": 1,
        "outcome": "done",
    }
    assert receive.attributes["outcome"] == "accepted"
    assert send.attributes["outcome"] == "kept"
    assert {span.service for span in spans.values()} == {"hookline"}
    assert not any(span.failed for span in spans.values())


def test_no_trace_begins_outside_and_none_holds_what_was_sent(traced: Traced) -> None:
    known = len(traced.collector.spans)
    parcel = make_parcel("stripe", "charge.dispute.created", headers={"traceparent": STRANGER, "x-mark": "of-a-header"})

    traced.sender.send(parcel, secret="whsec_of_nobody_at_all")
    traced.sender.send(parcel)

    spans = trace_of(traced, parcel)
    assert all(span.trace_id not in STRANGER and span.parent_id not in STRANGER.split("-") for span in spans.values())
    assert [span.name for span in traced.collector.spans[known:]].count(
        "receive"
    ) == 1  # not of the request that was rejected
    told = traced.collector.raw
    assert b"of-a-header" not in told
    assert not any(secret.encode() in told for secret in SECRETS.values())
    assert b"fingerprint" not in told
    assert b"payment_intent" not in told


def test_a_collector_in_trouble_slows_and_fails_nothing(traced: Traced) -> None:
    service, collector, sender = traced.service, traced.collector, traced.sender
    collector.hangs.set()
    answers = sender.send_all([make_dispute() for _ in range(20)])
    collector.stop()
    answers += sender.send_all([make_dispute() for _ in range(20)])

    service.wait_until_idle()
    assert all(answer.accepted for answer in answers)
    assert service["web"].stop() < STOPS_IN_S
    assert service["worker"].stop() < STOPS_IN_S
