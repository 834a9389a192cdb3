"""What this was run on: figures mean little without it."""

import os
import platform
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cli.dev.valkey import find_binary
from tests.faults.engines import find_program
from tests.servers.postgresql import find_programs

KIB = 1024


def describe() -> str:
    """Describe the machine in one paragraph."""
    parts = [
        f"{os.cpu_count()} cores ({_cpu()})",
        f"{_memory_gib():.0f} GiB of memory",
        f"{platform.system()} {platform.release()}",
        f"{_file_system()} under {tempfile.gettempdir()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        _first_line([find_binary(), "--version"]),
        _first_line([find_programs() / "postgres", "--version"]),
        _first_line([redis, "--version"]) if (redis := find_program("redis-server")) else "no Redis",
        f"dramatiq {version('dramatiq')}",
        f"uvicorn {version('uvicorn')}",
    ]
    return ", ".join(parts)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / KIB**3


def _file_system() -> str:
    listing = subprocess.run(["df", "-T", tempfile.gettempdir()], capture_output=True, text=True, check=False)
    fields = listing.stdout.splitlines()[-1].split() if listing.stdout else []
    return fields[1] if len(fields) > 1 else "an unknown file system"


def _first_line(command: Sequence[str | Path]) -> str:
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return " ".join(printed.split()[:3]) if printed else "?"
