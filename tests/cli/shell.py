"""Runs the `hookline` command in a process of its own, as a shell would: in a pipe, or on a terminal of some width."""

import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.settings import CHECKOUT
from tests.cli import nursery
from tests.servers.leash import leash

ANSWER_S = 60
ROWS = 50


@dataclass(frozen=True, slots=True)
class Shell:
    """An environment to run `hookline` in: nothing of ours, and these variables.

    Attributes:
        directory: the working directory, the home and the data directory.
        variables: what is set, besides what every shell has.
        nursery: the socket of the process that the commands are forked from.

    """

    directory: Path
    variables: Mapping[str, str]
    nursery: Path

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of the command."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(self.directory),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "HOOKLINE_DATA_DIR": str(self.directory),
            **self.variables,
        }

    def having(self, **variables: str) -> "Shell":
        """Give the same shell with more variables set."""
        return replace(self, variables={**self.variables, **variables})

    def start(self, *words: str, **streams: int) -> subprocess.Popen[str]:
        """Start `hookline …`; standard output and error are pipes unless it is said otherwise."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        command = [*standing_for(self.nursery), "hookline", *words]
        return subprocess.Popen(command, cwd=self.directory, env=self.environ, text=True, **pipes)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `hookline …` in a pipe."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as err, socket.socket(socket.AF_UNIX) as connection:
            reader, writer = os.pipe()
            with os.fdopen(reader, encoding="utf-8") as out, Path(os.devnull).open() as nothing:
                with os.fdopen(writer, "w") as its:
                    asked = (["hookline", *words], str(self.directory), self.environ)
                    nursery.order(connection, self.nursery, asked, [each.fileno() for each in (nothing, its, err)])
                printed = out.read()
            status = nursery.how_it_ended(connection)
            err.seek(0)
            said = err.read()
        assert "Traceback" not in said, said
        return subprocess.CompletedProcess(words, status, printed, said)

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """Run `hookline … --json`, which must succeed; give what it printed."""
        done = self.run(*words, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def refused(self, *words: str) -> str:
        """Run `hookline …`, which must fail with one sentence and nothing else; give the sentence."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
        assert done.stderr.startswith("hookline: ")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix("hookline: ").rstrip("\n")

    def on_terminal(self, columns: int, *words: str, statuses: Collection[int] = (0,)) -> str:
        """Run `hookline …` on a terminal of this width; give what it shows, notes included."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        with self.start(*words, stdin=its, stdout=its, stderr=its) as process:
            os.close(its)
            shown = _read_all(ours)
            process.wait(ANSWER_S)
        os.close(ours)
        assert process.returncode in statuses, shown
        return shown.replace("\r\n", "\n")


def standing_for(place: Path) -> list[str]:
    """Give the small program that stands for one which is forked from that nursery, but for what it is to run."""
    return [sys.executable, "-I", "-S", nursery.__file__, "run", str(place)]


@contextmanager
def open_nursery() -> Iterator[Path]:
    """Start the process that commands are forked from; give its socket, which is there when it has imported all."""
    with tempfile.TemporaryDirectory(prefix="hookline-nursery-") as place:
        path = Path(place) / "socket"
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "LANG": "C.UTF-8"}
        command = [sys.executable, "-P", nursery.__file__, "serve", str(path)]
        process = subprocess.Popen(command, env=environ, preexec_fn=leash(signal.SIGKILL))  # noqa: PLW1509  # one call
        try:
            yield path
        finally:
            process.kill()
            process.wait()


def _read_all(terminal: int) -> str:
    shown = b""
    try:
        while piece := os.read(terminal, 65_536):
            shown += piece
    except OSError:  # how Linux says that nobody has the other end any more
        pass
    return shown.decode()
