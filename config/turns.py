"""How this process comes to its turns of the processor."""

import os
from contextlib import suppress


def interrupt_nobody() -> None:
    """Wait, when woken, until whoever runs has had his turn, and not take it from him. Linux only (SCHED_BATCH).

    Linux lets who is woken interrupt who runs. Processes that wake each other with every request, as the web process
    and the one that writes for it do, then change places all the time: a fifth of their work (docs/performance.md).
    Shares of the processor stay as they are. Processes and threads that are started from here on do as this one.
    Whoever was given another policy than the usual one keeps it (`chrt`, systemd's CPUSchedulingPolicy=).
    """
    with suppress(AttributeError, OSError):  # another system; a sandbox that does not allow it
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
