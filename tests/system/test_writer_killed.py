"""kill -9 of the process that writes for a web process, and of that one without it."""

import os
import signal

from tests.cli.dev.waiting import descendants, processes
from tests.servers.http import get
from tests.system.parcel import make_payment
from tests.system.sender import Sender
from tests.system.service import Service

ENDED = "hookline_writers_ended_total"


def test_kill_9_of_either_loses_nothing_and_leaves_nothing_behind(service: Service, sender: Sender) -> None:
    service.start("valkey", "web")
    with sender.load(make_payment, at_once=10, pause_s=0.02) as load:
        load.wait_for_accepted(50)
        os.kill(_writer(service), signal.SIGKILL)
        load.wait_for_accepted(50)
    assert {answer.status for answer in load.answers} <= {200, 503}
    assert sender.record.accepted() <= service.ledger.external_ids()
    service.wait_for(service.is_ready)
    assert f"{ENDED} 1.0" in get(f"{service.url}/metrics").text

    writer = _writer(service)
    service["web"].kill()
    service.wait_for(lambda: writer not in {pid for pid, _, _ in processes()})
    service.start("web")
    assert sender.send(make_payment()).status == 200
    assert sender.record.accepted() <= service.ledger.external_ids()
    assert service.ledger.is_sound()


def _writer(service: Service) -> int:
    (pid,) = descendants(service["web"].pid)
    return pid
