"""Runs the real `hookline` command as a shell would: in a pipe, or on a terminal of some width."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.settings import CHECKOUT

ANSWER_S = 60
ROWS = 50


@dataclass(frozen=True, slots=True)
class Shell:
    """An environment to run `hookline` in: nothing of ours, and these variables."""

    directory: Path
    variables: Mapping[str, str]

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
        return Shell(self.directory, {**self.variables, **variables})

    def start(self, *words: str, **streams: int) -> subprocess.Popen[str]:
        """Start `hookline …`; standard output and error are pipes unless it is said otherwise."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *words], cwd=self.directory, env=self.environ, text=True, **pipes
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `hookline …` in a pipe."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=ANSWER_S)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

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

    def on_terminal(self, columns: int, *words: str) -> str:
        """Run `hookline …` on a terminal of this width; give what it shows, notes included."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        with self.start(*words, stdin=its, stdout=its, stderr=its) as process:
            os.close(its)
            shown = _read_all(ours)
            process.wait(ANSWER_S)
        os.close(ours)
        assert process.returncode == 0, shown
        return shown.replace("\r\n", "\n")


def _read_all(terminal: int) -> str:
    shown = b""
    try:
        while piece := os.read(terminal, 65_536):
            shown += piece
    except OSError:  # how Linux says that nobody has the other end any more
        pass
    return shown.decode()
