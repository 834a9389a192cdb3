"""A real Prometheus for tests, with our own rules and a scrape configuration of the test's."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx

from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.servers.http import get
from tests.servers.ports import unused_port
from tests.servers.redis import installed

RULES = CHECKOUT / "deploy" / "prometheus" / "rules.yml"
PACKAGE = "prometheus"
READY_S = 60.0

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: hookline
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """Scrapes one target."""

    def __init__(self, target: str) -> None:
        self.port = unused_port()
        self._program = installed("prometheus", package=PACKAGE)
        self._place = Path(tempfile.mkdtemp(prefix="hookline-prometheus-"))
        (self._place / "prometheus.yml").write_text(CONFIGURATION.format(rules=RULES, target=target))
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it has scraped and evaluated."""
        options = {
            "--config.file": self._place / "prometheus.yml",
            "--storage.tsdb.path": self._place / "data",
            "--web.listen-address": f"127.0.0.1:{self.port}",
        }
        words = [f"{name}={value}" for name, value in options.items()]
        with (self._place / "log").open("wb") as log:
            self._server = subprocess.Popen([self._program, *words], stdout=log, stderr=log, start_new_session=True)
        wait_until(self._has_begun, timeout_s=READY_S)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression; fail when it cannot be."""
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Give the rules, each with its health and its alerts."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def metadata(self) -> dict[str, Any]:
        """Give what it knows of each metric that it has scraped."""
        return self._ask("metadata")

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self._place, ignore_errors=True)

    def _has_begun(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._place / "log").read_text()
        try:
            return bool(self.query("up == 1")) and all(rule["health"] == "ok" for rule in self.alerts())
        except httpx.HTTPError:
            return False

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}"
        answer = get(url, parameters=parameters, timeout_s=30).raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data
