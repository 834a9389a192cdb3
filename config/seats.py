"""Where the processes of a host count: one directory, and in it a seat for each process, with files of its own."""

import fcntl
import os
from pathlib import Path

from config.settings import Settings

FILE_BYTES = 256 * 1024
# Written in full before it is mapped into memory: a page that found no room on a full disk later would end the process
# with SIGBUS. All series that there are take a quarter of it.

MAX_SEATS = 1_000
PRIVATE = 0o600


def metrics_directory(settings: Settings) -> Path:
    """Say where the processes of this host count."""
    return settings.prometheus_multiproc_dir or settings.hookline_data_dir / "metrics"


def take_seat(directory: Path) -> int:
    """Take the first seat that no living process has, and with it the files of whoever had it before.

    prometheus-client would name the files after process ids: two more at each start, somebody else's when an id comes
    again, and the same ones in two containers. A seat's lock ends with its process, however that ends. The files stay
    and are counted on in, so that no counter ever goes down and there are never more than there were processes at once.

    Raises:
        OSError: the directory cannot be written, or has no room.

    """
    directory.mkdir(parents=True, exist_ok=True)
    for seat in range(MAX_SEATS):
        if _lock(directory / f"{seat}.lock"):
            for kind in ("counter", "histogram"):
                _make_room(directory / f"{kind}_{seat}.db")
            return seat
    raise OSError(f"all {MAX_SEATS} seats are taken")


def _lock(path: Path) -> bool:
    """Lock a file for as long as this process lives, if nobody else has."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True


def _make_room(path: Path) -> None:
    if path.exists() and not _is_whole(path):
        path.unlink()
    with path.open("ab") as file:
        file.write(bytes(max(0, FILE_BYTES - file.tell())))


def _is_whole(path: Path) -> bool:
    """Say whether a file can be read; after a power cut it may be torn."""
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415  # importing this does nothing

    try:
        MultiProcessCollector.merge([str(path)])  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it cannot be counted on in
        return False
    return True


def clear_seats(directory: Path) -> None:
    """Forget all that was counted. Only for when no process of this host runs."""
    for pattern in ("counter_*.db", "histogram_*.db", "*.lock"):
        for path in directory.glob(pattern):
            path.unlink(missing_ok=True)
