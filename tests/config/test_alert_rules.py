"""The alert rules, without a Prometheus: `tests/system/test_metrics.py` has a real one evaluate them."""

import re
import subprocess

from config.settings import CHECKOUT
from tests.servers.prometheus import PACKAGE, RULES
from tests.servers.redis import installed


def test_every_alert_says_what_to_do_on_the_operations_page() -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text().splitlines()
    rules = RULES.read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert alerts
    for alert in alerts:
        assert f"### {alert}" in page
        assert f"runbook_url: docs/operations.md#{alert.lower()}\n" in rules


def test_promtool_finds_each_alert_firing_when_it_should_and_silent_when_it_should() -> None:
    promtool = installed("promtool", package=PACKAGE)
    tests = sorted(RULES.parent.glob("*.test.yml"))
    done = subprocess.run([promtool, "test", "rules", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = " ".join(test.read_text() for test in tests)
    for alert in re.findall(r"- alert: (\w+)", RULES.read_text()):
        assert f'[{{labels: \'{{alertname="{alert}"' in tested, f"{alert} is never seen firing"
