"""The bell that calls a sender for effects that were planned: rung by every message, and heard twice a second.

Each stroke is a message on the broker, and whoever hears it looks through the lines of all channels. One that asks for
many strokes within a moment gets the first at once, and one for all the others.
"""

import threading
from collections.abc import Callable

REST_S = 0.5
# Between two strokes, each of which takes several milliseconds. A channel takes one message a second.


class Bell:
    """Rings from a thread of its own."""

    def __init__(self, ring: Callable[[], None], *, rest_s: float = REST_S) -> None:
        """Take what rings; it must not raise."""
        self._ring = ring
        self._rest_s = rest_s
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. What was still to be rung for is."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join()

    def ring(self) -> None:
        """Ring soon. If the process dies before, the sweeper rings."""
        self._wanted.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self._ring()
            self._stopping.wait(self._rest_s)
        if self._wanted.is_set():
            self._ring()
