"""Metrics of the whole service: several processes, one page, a real Prometheus, and its rules."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.metrics import EFFECT_OUTCOMES
from config.settings import CHECKOUT
from tests.servers.http import get
from tests.servers.ports import unused_port
from tests.servers.prometheus import RULES, Prometheus
from tests.system.parcel import make_build, make_dispute
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import ENGINEERING, SlackStandIn, Trouble

DASHBOARD = CHECKOUT / "deploy" / "grafana" / "hookline.json"
METRIC = re.compile(r"\bhookline_\w+")
SERIES_OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")

ACCEPTED = 'hookline_events_total{result="accepted",source="stripe"}'
DONE = 'hookline_attempts_total{handler="payments.dispute",outcome="done"}'


@dataclass(frozen=True)
class Place:
    """A service with two worker processes, whose sweeper shows metrics too."""

    service: Service
    sender: Sender
    slack: SlackStandIn
    sweepers_url: str

    def page(self, url: str | None = None) -> dict[str, float]:
        """Give each series with its value."""
        answer = get(f"{url or self.service.url}/metrics", timeout_s=30).raise_for_status()
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[Place]:
    directory, port = tmp_path_factory.mktemp("metrics"), unused_port()
    slack = SlackStandIn()
    two_workers = {"WORKER_PROCESSES": "2", "HOOKLINE_METRICS_PORT": str(port)}
    service = Service(directory, environ={**slack.environ, **two_workers}, nursery=nursery)
    try:
        slack.start()
        service.start()
        yield Place(service, Sender(service.url, directory / "sender.jsonl"), slack, f"http://127.0.0.1:{port}")
    finally:
        service.close()
        slack.stop()


@pytest.fixture(scope="module")
def prometheus(place: Place) -> Iterator[Prometheus]:
    prometheus = Prometheus(f"127.0.0.1:{place.service.port}")
    try:
        prometheus.start()
        yield prometheus
    finally:
        prometheus.close()


def send(place: Place, count: int) -> None:
    place.sender.send_all([make_dispute() for _ in range(count)])
    place.service.wait_until_idle()


def shows(place: Place, wanted: Mapping[str, float]) -> None:
    """Wait until the page shows this: what was done is counted a moment later."""
    place.service.wait_for(lambda: wanted.items() <= place.page().items())
    assert wanted.items() <= place.page().items()  # and counts no further


def test_the_page_is_right_across_all_processes_and_lives_on_when_they_die(place: Place) -> None:
    service = place.service
    known = make_dispute()
    send(place, 39)
    place.sender.send(known)
    place.sender.send(known)
    place.sender.send(make_dispute(), secret="whsec_of_nobody_at_all")
    service.wait_until_idle()

    wanted = {
        ACCEPTED: 40,
        DONE: 40,
        'hookline_events_total{result="duplicate",source="stripe"}': 1,
        'hookline_requests_rejected_total{reason="signature_mismatch",source="stripe"}': 1,
        'hookline_secret_matched_total{position="0",source="stripe"}': 41,
        'hookline_ack_seconds_count{source="stripe"}': 41,
        "hookline_commit_batch_events_sum": 41,
        "hookline_handled_seconds_count": 80,  # two handlers each
    }
    shows(place, wanted)
    told = place.slack.calls_of("chat.postMessage") + place.slack.calls_of("chat.update")  # so many alerts are a storm
    service.wait_for(lambda: place.page()['hookline_effects_total{outcome="sent"}'] == len(told) < 40)

    service["worker"].kill_children()
    service["worker"].wait_for_end()
    service["web"].kill()
    service.start("web", "worker")
    assert place.page()[ACCEPTED] == 40
    send(place, 10)
    shows(place, {DONE: 50, ACCEPTED: 50})


def test_what_came_of_sending_alerts_is_counted(place: Place) -> None:
    place.sender.send(make_build())  # so that the channel's id is known
    place.service.wait_until_idle()
    before = place.page()
    place.slack.expect(Trouble(status=500))
    place.slack.expect(Trouble(takes=True, answers=False))
    place.slack.be_busy(ENGINEERING, after_s=1)

    place.sender.send_all([make_build() for _ in range(4)])

    def counted() -> dict[str, float]:
        series = {word: f'hookline_effects_total{{outcome="{word}"}}' for word in EFFECT_OUTCOMES}
        now = place.page()
        return {word: now[name] - before[name] for word, name in series.items()}

    place.service.wait_until_idle(timeout_s=60)
    place.service.wait_for(lambda: counted()["sent"] + counted()["found"] == 4)
    assert all(counted()[word] >= 1 for word in ("failed", "ambiguous", "found", "paused"))
    assert counted()["dead"] == counted()["kept"] == 0


def test_the_sweeper_shows_the_same_where_there_is_no_web_process(place: Place) -> None:
    place.service.wait_until_idle()

    place.service.wait_for(lambda: place.page() == place.page(place.sweepers_url))  # each is a moment of its own

    assert get(f"{place.sweepers_url}/healthz").status_code == 404


def expressions() -> list[str]:
    """Give every expression of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_in(text: str) -> set[str]:
    """Give the names of all metrics in a text; of a histogram its own, without those of its series."""
    return {SERIES_OF_HISTOGRAMS.sub("", name) for name in METRIC.findall(text)}


def test_rules_and_dashboard_use_all_metrics_that_there_are_and_no_others(place: Place) -> None:
    assert metrics_in(" ".join(expressions()) + RULES.read_text()) == metrics_in(" ".join(place.page()))


def test_prometheus_evaluates_every_rule_and_every_panel_and_a_healthy_service_raises_no_alarm(
    place: Place, prometheus: Prometheus
) -> None:
    send(place, 5)

    for expression in expressions():
        prometheus.query(expression.replace("$__rate_interval", "1m"))

    assert {rule["health"] for rule in prometheus.alerts()} == {"ok"}
    # On a busy machine a page may come a second late, which is an alarm until the next one.
    place.service.wait_for(lambda: not any(rule["alerts"] for rule in prometheus.alerts()))


def test_prometheus_raises_the_alarm_when_the_web_process_is_gone_and_takes_it_back_when_it_is_there(
    place: Place, prometheus: Prometheus
) -> None:
    service = place.service
    service["web"].kill()
    place.service.wait_for(lambda: "HooklineDown" in {rule["name"] for rule in prometheus.alerts() if rule["alerts"]})
    (alert,) = next(rule["alerts"] for rule in prometheus.alerts() if rule["name"] == "HooklineDown")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == f"Hookline does not answer on 127.0.0.1:{service.port}"
    service.start("web")
    place.service.wait_for(lambda: not any(rule["alerts"] for rule in prometheus.alerts()))
