"""A server that ends with the process that started it, also when that one is killed and can close nothing."""

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
# prctl(2): the signal that the kernel sends when the parent dies. Only Linux has it.


def leash(number: signal.Signals) -> Callable[[], None] | None:
    """Give what `subprocess.Popen(preexec_fn=…)` calls in the child, after it has changed its user."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, number)
