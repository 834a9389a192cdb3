"""A pace: so many a second, as people type it, and kept."""

import time

import typer


def parse_rate(text: str) -> float:
    """Read a rate such as 50/s or 50; give it a second.

    Raises:
        typer.BadParameter: it is none.

    """
    try:
        rate = float(text.removesuffix("/s"))
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a rate such as 50/s")
    return rate


class Pace:
    """Waits as long as a rate asks for. What was late is not made up for: the service is not to be flooded."""

    def __init__(self, rate: float | None) -> None:
        self._gap_s = 0.0 if rate is None else 1 / rate
        self._next = time.monotonic()

    def wait(self) -> None:
        """Wait for the next one's turn."""
        now = time.monotonic()
        time.sleep(max(self._next - now, 0.0))
        self._next = max(self._next, now) + self._gap_s
