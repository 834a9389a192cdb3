"""Counters of several processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from config.metrics import ACK_BUCKETS_S, make_metrics, observe_all
from config.seats import FILE_BYTES, clear_seats
from config.settings import CHECKOUT, Settings, load_settings

COUNT = """
import os, sys
from config.metrics import make_metrics
from config.settings import load_settings
metrics = make_metrics(load_settings(os.environ), secrets={"stripe": 2}, handlers=["topic.run"])
for _ in range(int(sys.argv[1])):
    metrics.event_answered(source="stripe", result="accepted", secret_position=1, seconds=0.004)
    metrics.attempted(handler="topic.run", outcome="done", seconds=[0.5])
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # which is put back after the test
    return load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)})


@contextmanager
def counting(settings: Settings, times: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and give it when it has counted so often; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNT, str(times)],
        env={"HOOKLINE_DATA_DIR": str(settings.hookline_data_dir), "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        yield process
        os.kill(process.pid, signal.SIGKILL)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def accepted(registry: CollectorRegistry) -> float | None:
    return value(registry, "hookline_events_total", source="stripe", result="accepted")


def test_one_page_adds_up_what_all_processes_count_the_dead_ones_too(settings: Settings) -> None:
    registry = make_metrics(settings).registry()

    with counting(settings, 30), counting(settings, 12):
        assert accepted(registry) == 42
    assert accepted(registry) == 42
    with counting(settings, 8):
        assert accepted(registry) == 50

    assert value(registry, "hookline_secret_matched_total", source="stripe", position="1") == 50
    assert value(registry, "hookline_attempts_total", handler="topic.run", outcome="done") == 50
    assert value(registry, "hookline_attempt_seconds_sum", handler="topic.run") == 25
    buckets = [
        value(registry, "hookline_ack_seconds_bucket", source="stripe", le=str(le))
        for le in ("0.0025", "0.005", "+Inf")
    ]
    assert buckets == [0, 50, 50]


def test_there_are_never_more_files_than_there_were_processes_at_once(settings: Settings) -> None:
    for _ in range(3):
        with counting(settings, 1):
            pass

    directory = settings.hookline_data_dir / "metrics"
    assert sorted(path.name for path in directory.iterdir()) == ["0.lock", "counter_0.db", "histogram_0.db"]


def test_all_series_that_there_are_fit_into_the_room_that_is_taken_at_the_start(settings: Settings) -> None:
    """Else a file would grow, and a full disk would end the process."""
    handlers = [f"a_topic_with_a_long_name.and_a_handler_with_a_long_name_{number}" for number in range(25)]
    metrics = make_metrics(settings, secrets={"stripe": 3, "github": 3, "slack": 3}, handlers=handlers)
    for reason in range(30):
        metrics.request_rejected(source="stripe", reason=f"a_reason_that_is_seldom_{reason}")

    sizes = {path.name: path.stat().st_size for path in (settings.hookline_data_dir / "metrics").glob("*.db")}
    assert sizes == {"counter_0.db": FILE_BYTES, "histogram_0.db": FILE_BYTES}


def test_series_that_alerts_watch_begin_at_zero(settings: Settings) -> None:
    registry = make_metrics(settings, secrets={"stripe": 1}, handlers=["topic.run"]).registry()

    assert accepted(registry) == 0
    assert value(registry, "hookline_requests_rejected_total", source="stripe", reason="signature_mismatch") == 0
    assert value(registry, "hookline_attempts_total", handler="topic.run", outcome="crashed") == 0
    assert value(registry, "hookline_effects_total", outcome="ambiguous") == 0


def test_where_the_directory_cannot_be_used_the_service_counts_unseen(tmp_path: Path) -> None:
    (tmp_path / "metrics").touch()
    metrics = make_metrics(load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)}), secrets={"stripe": 1})

    metrics.event_answered(source="stripe", result="accepted", secret_position=0, seconds=0.1)

    assert generate_latest(metrics.registry()) == b""


def test_a_file_that_a_power_cut_tore_is_begun_anew(settings: Settings) -> None:
    directory = settings.hookline_data_dir / "metrics"
    with counting(settings, 5):
        pass
    torn = bytearray((directory / "counter_0.db").read_bytes())
    torn[8:4096] = bytes(4088)
    (directory / "counter_0.db").write_bytes(torn)

    with counting(settings, 3):
        assert accepted(make_metrics(settings).registry()) == 3


def test_a_cleared_directory_counts_from_zero(settings: Settings) -> None:
    with counting(settings, 5):
        pass

    clear_seats(settings.hookline_data_dir / "metrics")

    with counting(settings, 2):
        assert accepted(make_metrics(settings).registry()) == 2


@given(st.lists(st.floats(min_value=0, max_value=1e9) | st.sampled_from([0.001, 0.005, 10.0])))
def test_amounts_observed_together_count_as_they_would_one_by_one(amounts: list[float]) -> None:
    together, one_by_one = (Histogram("x", "", buckets=ACK_BUCKETS_S, registry=None) for _ in range(2))
    observe_all(together, amounts)
    for amount in amounts:
        one_by_one.observe(amount)
    counts, plain = (
        [sample for metric in each.collect() for sample in metric.samples] for each in (together, one_by_one)
    )
    for ours, theirs in zip(counts, plain, strict=True):
        assert (ours.name, ours.labels) == (theirs.name, theirs.labels)
        assert ours.value == pytest.approx(theirs.value)
