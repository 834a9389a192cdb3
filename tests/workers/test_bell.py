"""The bell for senders."""

import threading

from workers.bell import Bell


def test_the_first_stroke_is_at_once_and_many_in_a_moment_are_one_more() -> None:
    strokes = threading.Semaphore(0)
    bell = Bell(strokes.release, rest_s=60)
    bell.start()
    bell.ring()
    assert strokes.acquire(timeout=60)
    for _ in range(1_000):
        bell.ring()
    bell.stop()
    assert strokes.acquire(blocking=False)
    assert not strokes.acquire(blocking=False)
