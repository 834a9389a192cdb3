"""The report: one line a run, in plain text or in Markdown."""

from collections.abc import Sequence

from tests.faults.run import Result

HEAD = (
    "fault",
    "engine",
    "sent",
    "attempts",
    "2xx",
    "other answers",
    "stored",
    "done",
    "dead",
    "waiting",
    "effects",
    "posts",
    "doubles",
    "p50 ms",
    "p99 ms",
    "rest after s",
    "verdict",
)


def row(result: Result) -> tuple[str, ...]:
    """Give the cells of one run."""
    counts = result.counts
    name = f"{result.fault} (repeated alone)" if result.alone else result.fault
    if counts is None:
        return (name, result.engine, *("" for _ in HEAD[3:]), _verdict(result))
    other = ", ".join(f"{count} {what}" for what, count in sorted(counts.refused.items())) or "none"
    return (
        name,
        result.engine,
        str(counts.webhooks),
        str(counts.attempts),
        str(counts.accepted),
        other,
        str(counts.stored),
        str(counts.done),
        str(counts.dead),
        str(counts.waiting),
        str(counts.effects),
        str(counts.posts),
        str(counts.doubles),
        f"{counts.p50_ms:.0f}",
        f"{counts.p99_ms:.0f}",
        f"{result.recovered_s:.0f}",
        _verdict(result),
    )


def _verdict(result: Result) -> str:
    if result.skipped:
        return f"skipped: {result.skipped}"
    said = "; ".join(result.remarks)
    word = "holds" if result.passed else f"FAILS ({len(result.complaints)}), seed {result.seed}"
    return f"{word}: {said}" if said else word


def plain(results: Sequence[Result]) -> str:
    """Draw the table for a terminal."""
    rows = [HEAD, *(row(result) for result in results)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEAD) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(each, widths, strict=False)), each[-1]]) for each in rows
    )


def total(results: Sequence[Result], *, took_s: float) -> str:
    """Give the sum in one sentence; what was repeated alone is not counted a second time."""
    runs = [result for result in results if not result.alone and not result.skipped]
    held = sum(result.passed for result in runs)
    skipped = sum(result.skipped is not None for result in results)
    words = f"{held} of {len(runs)} held in {took_s / 60:.1f} min"
    return f"{words}, {skipped} were skipped" if skipped else words


def page(results: Sequence[Result], *, about: str, took_s: float) -> str:
    """Give all that docs/reliability.md says of a run: the machine, the sum, the table."""
    return f"{about}\n\n**{total(results, took_s=took_s)}.**\n\n{markdown(results)}\n"


def markdown(results: Sequence[Result]) -> str:
    """Draw it for docs/reliability.md."""
    rule = ["---" if column < 2 or column in {5, 16} else "---:" for column in range(len(HEAD))]
    lines = [HEAD, rule, *(row(result) for result in results)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
