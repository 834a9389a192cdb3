"""How the web process comes to its turns of the processor."""

import os
import subprocess
import sys

import pytest

from config.settings import CHECKOUT

ASK = "import os; print(os.sched_getscheduler(0))"
BY_HAND = f"""
import os
try:
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
except OSError:
    pass
{ASK}
"""
LEFT_AS_IT_WAS = f"""
import os
from config.turns import interrupt_nobody
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
{ASK}
interrupt_nobody()
{ASK}
"""
WITH_A_CHILD = f"""
import subprocess, sys
from config.turns import interrupt_nobody
interrupt_nobody()
{ASK}
subprocess.run([sys.executable, "-I", "-S", "-c", {ASK!r}], check=True)
"""


def _policies(program: str) -> list[str]:
    words = [sys.executable, "-S", "-c", f"import sys; sys.stdout.reconfigure(line_buffering=True)\n{program}"]
    return subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="there is no SCHED_BATCH here")
def test_a_process_that_interrupts_nobody_starts_others_that_interrupt_nobody() -> None:
    if _policies(BY_HAND) != [str(os.SCHED_BATCH)]:
        pytest.skip("this sandbox does not allow SCHED_BATCH to anybody")
    own, childs = _policies(WITH_A_CHILD)
    assert own == childs == str(os.SCHED_BATCH)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="there is no SCHED_IDLE here")
def test_a_policy_that_somebody_gave_the_process_stays() -> None:
    given, kept = _policies(LEFT_AS_IT_WAS)
    assert given == kept == str(os.SCHED_IDLE)
