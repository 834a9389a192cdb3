"""The sweeper's own page of metrics."""

import socket

import httpx
from prometheus_client import CollectorRegistry, Counter

from tests.servers.http import get
from tests.servers.ports import unused_port
from workers.metrics import serve_metrics


def test_a_port_that_is_taken_stops_nothing_and_the_one_that_has_it_serves() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    Counter("mine", "of the first", registry=first)
    port = unused_port()

    serve_metrics(first, host="127.0.0.1", port=port)
    serve_metrics(second, host="127.0.0.1", port=port)

    assert "mine_total 0.0" in get(f"http://127.0.0.1:{port}/metrics").text


def test_a_visitor_that_says_nothing_keeps_nobody_from_the_page() -> None:
    port = unused_port()
    serve_metrics(CollectorRegistry(), host="127.0.0.1", port=port)

    with socket.create_connection(("127.0.0.1", port)):
        assert get(f"http://127.0.0.1:{port}/metrics").is_success
        assert get(f"http://127.0.0.1:{port}/else").status_code == httpx.codes.NOT_FOUND
