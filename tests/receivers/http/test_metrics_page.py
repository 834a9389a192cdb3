"""`GET /metrics` of one web process."""

import sqlite3
from contextlib import closing

from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import webhook

BOUNDED_S = 10.0
# Prometheus' own patience; the page takes 2 s at most.


def page(server: Server) -> dict[str, float]:
    """Give each series of the page with its value."""
    answer = server.http.get("/metrics", timeout=BOUNDED_S)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def test_nothing_that_a_stranger_sends_makes_a_series(server: Server) -> None:
    forged = webhook("/webhooks/github", secret="not the right one")
    names = {"x-github-event": "of-a-stranger", "x-github-delivery": "of-a-stranger", "user-agent": "of-a-stranger"}
    server.http.post(forged.path, content=forged.body, headers={**forged.headers, **names})
    before = page(server)

    for number in range(200):
        assert server.http.get(f"/of-a-stranger/{number}").status_code == 404
        assert (
            server.http.post(forged.path, content=forged.body, headers={**forged.headers, **names}).status_code == 401
        )
        assert server.http.get(f"/metrics?of-a-stranger={number}").is_success

    after = page(server)
    assert after.keys() == before.keys()
    assert not any("stranger" in series for series in after)
    rejected = 'hookline_requests_rejected_total{reason="signature_mismatch",source="github"}'
    assert after[rejected] - before[rejected] == 200


def test_while_the_ledger_cannot_be_written_the_counters_are_shown_and_nobody_waits(own_server: Server) -> None:
    asked = webhook("/webhooks/stripe")
    with closing(sqlite3.connect(own_server.ledger, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert own_server.http.post(asked.path, content=asked.body, headers=asked.headers).status_code == 503
        locked = page(own_server)
        assert own_server.http.get("/healthz").is_success

    assert locked["hookline_ledger_up"] == 0
    assert locked['hookline_events_total{result="unavailable",source="stripe"}'] == 1
    assert locked['hookline_ack_seconds_count{source="stripe"}'] == 1


def test_the_gauges_tell_the_state_of_ledger_and_broker(own_server: Server) -> None:
    asked = webhook("/webhooks/stripe", b'{"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}')
    assert own_server.http.post(asked.path, content=asked.body, headers=asked.headers).is_success

    gauges = page(own_server)

    assert gauges["hookline_ledger_up"] == 1
    assert gauges["hookline_broker_up"] == 0
    assert gauges['hookline_deliveries{state="queued"}'] == own_server.count("deliveries") > 0
    assert gauges['hookline_oldest_waiting_seconds{what="deliveries"}'] > 0
    assert [series for series in gauges if series.startswith("hookline_build_info")]
