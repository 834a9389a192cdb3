"""Ports for servers that tests start: none is given twice in a run, whichever of its processes asks."""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from functools import cache

PORTS = range(10_000, 32_000)
# Below those that the kernel gives to outgoing connections: while a server is away for a while, nobody takes its port.

SHARES = 32
# More than there are processes that run tests at once. Each of them has hundreds of ports.


def unused_port() -> int:
    """Find a port that nobody uses and that nobody is given by chance."""
    while True:
        port = next(_share())
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


@cache
def _share() -> Iterator[int]:
    """Give the ports of this process: what xdist calls the run is the order of all, and its own name is its share."""
    run, name = os.environ.get("PYTEST_XDIST_TESTRUNUID"), os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    order = random.Random(run).sample(PORTS, len(PORTS))  # noqa: S311  # another one for each run
    return itertools.cycle(order[int(name.removeprefix("gw")) % SHARES :: SHARES])
