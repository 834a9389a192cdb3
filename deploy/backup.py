"""Copy a SQLite ledger while the service runs: `deploy/run python deploy/backup.py LEDGER COPY`.

The copy is one state of the ledger, whatever is written meanwhile, and nobody waits for it. Copying the file would miss
what is in the -wal beside it, and `.backup` of the sqlite3 shell starts again whenever somebody writes. The copy has
its name only when it is whole, checked, and on disk.
"""

# ruff: noqa: INP001, T201  # a script, and it prints

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

PRIVATE_UMASK = 0o077


def copy(ledger: Path, to: Path) -> None:
    """Copy one state of the ledger. Raises sqlite3.Error or OSError; what is at `to` stays until the end."""
    unfinished = to.with_name(f"{to.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=rw", uri=True)) as db:
        db.execute("VACUUM INTO ?", (str(unfinished),))
    _check(unfinished)
    _flush(unfinished)
    unfinished.replace(to)
    _flush(to.parent)


def _check(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """Exit 0 when the copy is there, 1 when it is not, 2 for wrong usage."""
    if len(sys.argv) != 3:  # noqa: PLR2004  # itself and two paths
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    os.umask(PRIVATE_UMASK)
    ledger, to = map(Path, sys.argv[1:])
    try:
        copy(ledger, to)
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"no backup of {ledger}: {error}")
    print(f"{to}: {to.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
