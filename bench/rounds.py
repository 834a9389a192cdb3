"""Alternating rounds: product, peer, product, peer … so that whatever slows the machine down slows all of them."""

import sys
from collections.abc import Callable, Mapping

Measure = Callable[[], float]


def alternate(contenders: Mapping[str, Measure], *, rounds: int) -> dict[str, list[float]]:
    """Measure each contender once a round. Every other round goes backwards, so that nobody is always second."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            figures[name].append(contenders[name]())
            say(f"  round {number + 1}/{rounds}  {name}: {figures[name][-1]:,.3g}")
    return figures


def say(text: str) -> None:
    """Tell whoever waits how far it is. The table alone goes to standard output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
