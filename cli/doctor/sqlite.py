"""A ledger in a SQLite file: its directory, its disk, and whether a commit in it waits for that disk."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from cli.doctor.finding import Finding, ok, problem, worst
from cli.doctor.installation import Installation
from cli.doctor.mounts import NETWORK, VOLATILE, file_system
from config.database import database_url

LEDGER = "ledger"

OTHERS = stat.S_IRWXG | stat.S_IRWXO

MIB = 1024 * 1024
LITTLE_FREE_MIB = 2_048
TOO_LITTLE_FREE_MIB = 200

SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
FULL = 2


def check_files(installation: Installation) -> Iterator[Finding]:
    """Look at the file and where it is, without opening it: that would make one where there is none."""
    path = Path(database_url(installation.settings).database or "")
    try:
        path.stat()
    except FileNotFoundError:
        fix = "run `hookline migrate` (or `hookline dev`), or set HOOKLINE_DATA_DIR or DATABASE_URL to where it is"
        yield problem(LEDGER, f"there is no ledger at {path}", fix)
        return
    except OSError as error:
        yield problem(LEDGER, f"{path} cannot be looked at: {error.strerror}", "run as the service's user")
        return
    yield _check_writable(path)
    yield _check_privacy(path)
    yield _check_disk(path)
    yield _check_place(path)


def _check_writable(path: Path) -> Finding:
    for each in (path, path.parent):
        if not os.access(each, os.W_OK):
            fix = f"give it to the service's user: chown -R USER {path.parent}; or run the doctor as that user"
            return problem(LEDGER, f"{each} cannot be written by this user (uid {os.getuid()})", fix)
    return ok(LEDGER, f"SQLite, {path}, {path.stat().st_size / MIB:,.0f} MiB")


def _check_privacy(path: Path) -> Finding:
    """Customers' names and payments are in there."""
    readable = path.stat().st_mode & OTHERS and path.parent.stat().st_mode & OTHERS
    found = "other users of this machine can read the ledger" if readable else "nobody else can read the ledger"
    fix = f"chmod 700 {path.parent}"
    return worst("privacy", float(bool(readable)), warn_at=1, problem_at=2, found=found, fix=fix)


def _check_disk(path: Path) -> Finding:
    free_mib = shutil.disk_usage(path.parent).free / MIB
    fix = "make room (`hookline prune` lets old events go): on a full disk, nothing can be committed"
    found = f"{free_mib:,.0f} MiB free"
    used = 1 / max(free_mib, 1)
    return worst("disk", used, warn_at=1 / LITTLE_FREE_MIB, problem_at=1 / TOO_LITTLE_FREE_MIB, found=found, fix=fix)


def _check_place(path: Path) -> Finding:
    kind = file_system(path)
    if kind in NETWORK:
        found = f"the ledger is on a network file system ({kind}), whose locks and shared memory SQLite cannot rely on"
        return problem("file system", found, "put it on a local disk, or use PostgreSQL")
    if kind in VOLATILE:
        return problem("file system", f"the ledger is in memory ({kind}): gone at the next reboot", "put it on a disk")
    return ok("file system", kind or "unknown")


def check_sqlite(_installation: Installation, db: Connection) -> Iterator[Finding]:
    """Ask the connection, made as the web process makes its own, what is in force."""
    journal = db.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    synchronous = db.exec_driver_sql("PRAGMA synchronous").scalar_one()
    found = f"journal_mode={journal}, synchronous={SYNCHRONOUS[synchronous]}"
    if journal != "wal":
        fix = "the file system does not let SQLite share memory: put the ledger on a local disk"
        yield problem("durability", found, fix)
    elif synchronous < FULL:
        yield problem("durability", f"{found}: a power cut can undo a commit", "report it: Hookline sets FULL")
    else:
        yield ok("durability", f"{found}: a commit is on disk when it returns")
