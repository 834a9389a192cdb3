"""The README's two commands: `make run` in one shell, which is `hookline dev`; `hookline trigger` in another."""

import json
import logging
import time
from pathlib import Path

from tests.system.service import DEV, Service

log = logging.getLogger(__name__)


def test_hookline_trigger_shows_an_alert_in_hookline_dev_and_a_done_event(tmp_path: Path) -> None:
    service = Service(tmp_path, secrets={})
    try:
        began = time.monotonic()
        service.start(DEV)
        ready_s = time.monotonic() - began

        triggered = service.cli("trigger", "stripe", "charge.dispute.created")

        assert triggered.returncode == 0, triggered.stderr
        assert triggered.stdout.startswith("stripe charge.dispute.created: 200")
        alert_s = service.wait_for(lambda: "TEST: Dispute opened: $49.00" in service[DEV].printed())
        log.info("ready after %.1f s, alert %.1f s after the trigger", ready_s, alert_s)
        service.wait_for(lambda: service.ledger.unfinished() == 0)
        listed = service.cli("events", "list", "--json")
        (event,) = [json.loads(line) for line in listed.stdout.splitlines()]
        assert (event["source"], event["type"], event["state"]) == ("stripe", "charge.dispute.created", "done")
        assert "Traceback" not in service[DEV].printed()
    finally:
        service.close()
