"""The container's HEALTHCHECK: a web process must answer /healthz, any other process must only be there.

One image runs all kinds of processes. A worker that can no longer be trusted ends itself (docs/decisions/0010), and the
container ends with it: there is nothing to ask it. The container is unhealthy when this fails.
"""

# ruff: noqa: INP001  # a script

import os
import sys
import urllib.request
from pathlib import Path

WEB = b"receivers.app:create_app"
TIMEOUT_S = 3


def runs_web(proc: Path = Path("/proc")) -> bool:
    """Say whether a process of this container is the web process."""
    return any(WEB in _command_line(path) for path in proc.glob("[0-9]*/cmdline"))


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile, or is somebody else's
        return b""


def check() -> None:
    """Ask the web process. Raises OSError when it does not say that it lives."""
    address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/healthz"
    # No proxy from the environment: it would be asked for our own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(address, timeout=TIMEOUT_S).close()


def main() -> None:
    """Exit 0 when the container is healthy, 1 when it is not."""
    try:
        if runs_web():
            check()
    except OSError as error:
        sys.exit(f"unhealthy: {error}")


if __name__ == "__main__":
    main()
