"""How fast a backlog gets less, seen from outside."""

import time
from collections.abc import Callable

from bench.errors import CheckFailed

LOOK_EVERY_S = 0.02

BEGIN, END = 0.1, 0.9
# Of the backlog: before, the worker is still starting; after, its last threads run out of work.

STALLED_S = 60.0


def drain_rate(done: Callable[[], int], total: int) -> float:
    """Watch until all is done. Give how many were done a second, in the middle of it.

    Raises:
        CheckFailed: nothing moves any more.

    """
    looks: list[tuple[float, int]] = []
    moved_at = time.monotonic()
    while not looks or looks[-1][1] < total:
        if looks and time.monotonic() - moved_at > STALLED_S:
            raise CheckFailed(f"{looks[-1][1]} of {total} were done, and then no more")
        look = (time.monotonic(), done())
        if not looks or look[1] > looks[-1][1]:
            looks.append(look)
            moved_at = look[0]
        time.sleep(LOOK_EVERY_S)
    middle = [look for look in looks if total * BEGIN <= look[1] <= total * END]
    return _rate(middle if len(middle) > 1 else looks)  # a small backlog is done in a few strokes


def _rate(looks: list[tuple[float, int]]) -> float:
    (began, first), (ended, last) = looks[0], looks[-1]
    if ended == began:
        raise CheckFailed("it was done before it could be watched: take more")
    return (last - first) / (ended - began)
