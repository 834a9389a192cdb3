"""How long `make run` takes until the service is ready, once everything is installed."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from bench.errors import CheckFailed, Skipped
from bench.plan import Plan
from bench.row import Row, Wanted
from bench.service import directory, listens, process
from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port

NAME = "start"
TAKES_S = 20

WANTED = Wanted(text="≤ 3 s", ours_at_most=3)

INSTALLED = ".venv/.ready-to-run"  # the Makefile touches it
LOOK_EVERY_S = 0.01
PATIENCE_S = 60.0


def measure(plan: Plan) -> Iterator[Row]:
    """Start it in an empty data directory, so that its ledger and its secrets are made as well."""
    _require_installed()
    with directory(plan.place, NAME) as place:
        took_s = [_start(place, number) for number in range(plan.sizes.starts)]
    yield Row(name=NAME, what="s from `make run` (installed, new data directory) to ready", ours=took_s, wanted=WANTED)


def _require_installed() -> None:
    words = ["make", "--question", "--silent", INSTALLED]
    if subprocess.run(words, cwd=CHECKOUT, capture_output=True, check=False).returncode != 0:  # noqa: S603  # our own words
        raise Skipped("this checkout is not installed, or not up to date (make setup)")


def _start(place: Path, number: int) -> float:
    port = unused_port()
    data = place / str(number)
    environ = {"PORT": str(port), "HOOKLINE_DATA_DIR": str(data)}
    began = time.monotonic()
    with process(place, f"make-{number}", "make run", environ) as running:
        while not _is_ready(port):
            if not running.runs() or time.monotonic() - began > PATIENCE_S:
                raise CheckFailed(f"make run did not get ready: {running.printed()[-500:]}")
            time.sleep(LOOK_EVERY_S)
        took_s = time.monotonic() - began
        running.stop()
        wait_until(lambda: not listens(port))
    return took_s


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False
