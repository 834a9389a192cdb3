"""A small chart in one line of text."""

from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
NONE = " "


def spark(counts: Sequence[int]) -> str:
    """Draw counts side by side, the highest as high as a line; nothing where there was none."""
    most = max(counts, default=0)
    return "".join(LEVELS[(count * len(LEVELS) - 1) // most] if count else NONE for count in counts)


def bar(count: int, most: int, *, chars: int) -> str:
    """Draw a count as a bar of at most so many characters."""
    return "█" * max(count * chars // most, 1) if count else ""
