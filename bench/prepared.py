"""The file of prepared requests: for each its length in eight digits, then the request itself.

`bench.requests` makes it; `requests.lua` inside wrk and `bench.pace` read it.
Only the standard library here: the client starts at once.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LENGTH_DIGITS = 8


def write(path: Path, requests: Iterable[bytes]) -> None:
    """Write the requests to a file, and wait for the disk: else it would still be busy when a ledger wants it."""
    with path.open("wb") as file:
        for request in requests:
            file.write(b"%0*d" % (LENGTH_DIGITS, len(request)))
            file.write(request)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> Iterator[bytes]:
    """Give the requests of a file, one by one."""
    with path.open("rb") as file:
        while length := file.read(LENGTH_DIGITS):
            yield file.read(int(length))
