"""Holds a load up whenever too much waits, so that what goes in is what is done."""

import signal
import subprocess
import time
from dataclasses import dataclass

from bench.counts import Counts

MAX_BACKLOG, RESUME_BACKLOG = 1_000, 500
# Deliveries that wait.

LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a load went.

    Attributes:
        looks: monotonic seconds, and how many deliveries had been run by then.
        held_s: how long it was held up.

    """

    looks: list[tuple[float, int]]
    held_s: float

    def rate(self, *, after_s: float) -> float:
        """Give how many deliveries were run a second, not counting what came before."""
        counted = [look for look in self.looks if look[0] >= self.looks[0][0] + after_s]
        (first_at, first), (last_at, last) = counted[0], counted[-1]
        return (last - first) / (last_at - first_at)


def hold_balance(load: "subprocess.Popen[bytes]", own: Counts) -> Course:
    """Watch over a load until it ends."""
    looks: list[tuple[float, int]] = []
    held_since: float | None = None
    held_s = 0.0
    try:
        while load.poll() is None:
            now, backlog = time.monotonic(), own.backlog()
            looks.append((now, own.last("attempts")))
            if held_since is None and backlog > MAX_BACKLOG:
                load.send_signal(signal.SIGSTOP)
                held_since = now
            elif held_since is not None and backlog < RESUME_BACKLOG:
                load.send_signal(signal.SIGCONT)
                held_s, held_since = held_s + now - held_since, None
            time.sleep(LOOK_EVERY_S)
    finally:
        load.send_signal(signal.SIGCONT)
    return Course(looks=looks, held_s=held_s)
