"""The watch over a worker process."""

import subprocess
import sys
import threading
import time

from config.settings import CHECKOUT
from ledger import claims
from ledger.store import Ledger
from tests.ledger.making import delivery, new_event, store
from workers.watch import EXIT_STATUS, Watch


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_worker_in_which_a_thread_dies_ends_itself() -> None:
    done = run_python(
        "import threading, time\n"
        "from workers.watch import end_when_a_thread_dies\n"
        "end_when_a_thread_dies()\n"
        "threading.Thread(target=lambda: 1 / 0, name='consumer').start()\n"
        "time.sleep(50)\n",
    )
    assert done.returncode == EXIT_STATUS
    assert "its thread consumer died of ZeroDivisionError" in done.stdout + done.stderr


def test_a_worker_that_hangs_where_nothing_can_interrupt_it_ends_itself() -> None:
    done = run_python(
        "import time\n"
        "from config.database import make_engine\n"
        "from ledger.store import Ledger\n"
        "from sqlalchemy import make_url\n"
        "from workers.watch import Watch\n"
        "watch = Watch(Ledger(make_engine(make_url('sqlite://'))), beat_interval_s=0.01, stuck_after_s=0.05)\n"
        "watch.start()\n"
        "with watch.over('token', lambda db, tokens: None):\n"
        "    time.sleep(50)\n",
    )
    assert done.returncode == EXIT_STATUS
    assert "has been running for more than" in done.stdout + done.stderr


def test_a_claim_is_beaten_for_as_long_as_it_is_worked_on_and_no_longer(ledger: Ledger) -> None:
    ids = store(ledger, new_event(), new_event())
    with ledger.write() as db:
        claims.claim(db, ids[:1], handlers={"topic.run"}, token="first", now=time.time())
        claims.claim(db, ids[1:], handlers={"topic.run"}, token="second", now=time.time())
    watch = Watch(ledger, beat_interval_s=0.01)
    watch.start()
    with watch.over("second", claims.beat):
        with watch.over("first", claims.beat):
            wait_for_beats(ledger, ids[0], 3)
        wait_for_beats(ledger, ids[1], 3)
        stopped_at = beats(ledger, ids[0])
        wait_for_beats(ledger, ids[1], beats(ledger, ids[1]) + 5)
    assert beats(ledger, ids[0]) == stopped_at
    watch.stop()


def beats(ledger: Ledger, delivery_id: int) -> int:
    return int(delivery(ledger, delivery_id).beat)


def wait_for_beats(ledger: Ledger, delivery_id: int, count: int) -> None:
    deadline = time.monotonic() + 20
    while beats(ledger, delivery_id) < count:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
