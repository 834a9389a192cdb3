"""The watch over a worker process."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from config.settings import CHECKOUT
from ledger import claims
from ledger.store import Ledger
from tests.ledger.making import delivery, new_event, store
from tests.workers.conftest import ENDS_S
from workers.watch import EXIT_STATUS, RanTooLong, Watch


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
        "from ledger.store import Ledger\n"
        "from sqlalchemy import create_engine\n"
        "from workers.watch import Watch\n"
        "watch = Watch(Ledger(create_engine('sqlite://')), tick_s=0.01, stuck_after_s=1.5)\n"
        "watch.start()\n"
        "with watch.limit(0.05):\n"
        "    time.sleep(50)\n",
    )
    assert done.returncode == EXIT_STATUS
    assert "cannot be interrupted" in done.stdout + done.stderr


@pytest.fixture
def watch(ledger: Ledger) -> Iterator[Watch]:
    watch = Watch(ledger, tick_s=0.001, beat_interval_s=0.01)
    watch.start()
    yield watch
    watch.stop(ENDS_S)


def test_what_runs_too_long_is_interrupted(watch: Watch) -> None:
    with pytest.raises(RanTooLong), watch.limit(0.02):
        sleep_for_ever()


def sleep_for_ever() -> None:
    while True:
        time.sleep(0.001)


def test_an_interrupt_never_strikes_after_its_block(watch: Watch) -> None:
    """The block ends at the very moment at which its time is over, again and again."""
    struck = 0
    for _ in range(100):
        try:
            with watch.limit(0.004):
                time.sleep(0.004)
        except RanTooLong:
            struck += 1
        sum(range(2_000))  # an interrupt that came late would end the test here
    assert 0 <= struck <= 100


def test_an_interrupt_that_gets_lost_is_followed_by_another(watch: Watch) -> None:
    with pytest.raises(RanTooLong), watch.limit(0.01):
        sleep_through_one_interrupt()


def sleep_through_one_interrupt() -> None:
    with contextlib.suppress(RanTooLong):
        sleep_for_ever()
    sleep_for_ever()


def test_an_interrupt_that_the_block_swallows_is_over_with_it(watch: Watch) -> None:
    with watch.limit(0.01):
        try:
            while True:
                pass
        except RanTooLong:
            pass
    sum(range(100_000))


def test_a_claim_is_beaten_for_as_long_as_it_is_worked_on_and_no_longer(ledger: Ledger, watch: Watch) -> None:
    ids = store(ledger, new_event(), new_event())
    with ledger.write() as db:
        claims.claim(db, ids[:1], handlers={"topic.run"}, token="first", now=time.time())
        claims.claim(db, ids[1:], handlers={"topic.run"}, token="second", now=time.time())
    with watch.over("second", claims.beat):
        with watch.over("first", claims.beat):
            wait_for_beats(ledger, ids[0], 3)
        wait_for_beats(ledger, ids[1], beats(ledger, ids[1]) + 2)  # the beat that was under way is over
        stopped_at = beats(ledger, ids[0])
        wait_for_beats(ledger, ids[1], beats(ledger, ids[1]) + 5)
    assert beats(ledger, ids[0]) == stopped_at


def beats(ledger: Ledger, delivery_id: int) -> int:
    return int(delivery(ledger, delivery_id).beat)


def wait_for_beats(ledger: Ledger, delivery_id: int, count: int) -> None:
    deadline = time.monotonic() + 60
    while beats(ledger, delivery_id) < count:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
