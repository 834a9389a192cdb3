"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is: a problem makes `hookline doctor` exit 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    status: Status
    found: str
    fix: str | None = None


def ok(check: str, found: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check, Status.OK, found)


def warning(check: str, found: str, fix: str) -> Finding:
    """Say that something may become a problem, or needs a person to look."""
    return Finding(check, Status.WARNING, found, fix)


def problem(check: str, found: str, fix: str) -> Finding:
    """Say that something does not work, or that what was promised does not hold."""
    return Finding(check, Status.PROBLEM, found, fix)


def worst(check: str, value: float, *, warn_at: float, problem_at: float, found: str, fix: str) -> Finding:
    """Judge a figure that is better when it is smaller."""
    if value >= problem_at:
        return problem(check, found, fix)
    return warning(check, found, fix) if value >= warn_at else ok(check, found)


def spell_age(seconds: float) -> str:
    """Write how long something took or waits: 45 s, 12 min, 7 h, 3 d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
