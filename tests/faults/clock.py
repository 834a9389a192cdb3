"""Other wall clocks for single processes, by a small library that is preloaded (`clock.c`)."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


def missing() -> str | None:
    """Say what this machine lacks, or None."""
    if not sys.platform.startswith("linux"):
        return "clocks are moved with LD_PRELOAD, which is Linux's"
    return None if shutil.which("cc") else "there is no C compiler (cc) to build tests/faults/clock.c"


def build(place: Path) -> Path:
    """Build the library."""
    library = place / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl", "-lm"], check=True)
    return library


def environ(library: Path, offset_file: Path) -> dict[str, str]:
    """Give what makes a process live by the clock of a file."""
    return {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(offset_file)}


def set_offset(offset_file: Path, off_s: float) -> None:
    """Move the clock of whoever lives by this file, at once."""
    offset_file.touch()
    with offset_file.open("r+b", buffering=0) as file:
        file.write(struct.pack("d", off_s))
