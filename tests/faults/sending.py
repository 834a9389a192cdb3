"""The harness's end of the senders' process: say what to do, and look into its file."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.faults.record import Facts, Tail, read_facts
from tests.system.service import clean_environ

PROGRESS_S = 60.0
FINISH_S = 90.0


class Sending:
    """One process of senders, and its file."""

    def __init__(self, record: Path, *, ports: Sequence[int], secrets: Mapping[str, str], seed: str) -> None:
        self.tail = Tail(record)
        self._marks = 0
        self._errors = record.with_suffix(".log")
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.senders"],
                cwd=CHECKOUT,
                env=clean_environ(),
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._say({"ports": list(ports), "record": str(record), "secrets": dict(secrets), "seed": seed})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def facts(self) -> Facts:
        """What it has written down until now."""
        return read_facts(self.tail.refresh())

    def rate(self, stories_per_s: float) -> None:
        """Begin so many new stories a second from now on."""
        self._say({"do": "rate", "stories_per_s": stories_per_s})

    def burst(self, stories: int, **how: Any) -> None:
        """Begin so many stories at once."""
        self._say({"do": "burst", "stories": stories, **how})

    def hold(self) -> None:
        """Let all that is to be sent pile up."""
        self._say({"do": "hold"})

    def release(self) -> None:
        """Send all that has piled up."""
        self._say({"do": "release"})

    def switch_secrets(self, secrets: Mapping[str, Sequence[str]]) -> None:
        """Sign with these from now on; the first is the newest."""
        self._say({"do": "secrets", "secrets": {source: list(each) for source, each in secrets.items()}})

    def count(self, what: Callable[[str], bool] = lambda answer: answer.startswith("2")) -> int:
        """Count the answers of a kind; the 2xx where nothing is said."""
        self.tail.refresh()
        return sum(number for answer, number in self.tail.answers.items() if what(answer))

    def wait_for(self, more: int, what: Callable[[str], bool] = lambda answer: answer.startswith("2")) -> None:
        """Wait until there are so many more answers of a kind."""
        wanted = self.count(what) + more
        wait_until(lambda: self.count(what) >= wanted or self._check(), timeout_s=PROGRESS_S)

    def count_attempts(self) -> int:
        """Count the attempts that were begun."""
        self.tail.refresh()
        return self.tail.attempts

    def wait_until_over(self, *, timeout_s: float = PROGRESS_S) -> None:
        """Wait until all stories are over that have begun by now; others may begin."""
        self._marks += 1
        self._say({"do": "mark", "number": self._marks})
        wait_until(self._is_marked, timeout_s=timeout_s)

    def _is_marked(self) -> bool:
        self.tail.refresh()
        return self._marks in self.tail.marks or self._check()

    def finish(self, *, timeout_s: float = FINISH_S) -> float:
        """Let it finish what it has begun, by its rules. Give how long that took."""
        began = time.monotonic()
        self._say({"do": "stop"})
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:  # somebody is never answered 2xx: the verdict will say who
            self.close()
        else:
            assert status == 0, self._errors.read_text()
        return time.monotonic() - began

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _check(self) -> bool:
        assert self._process.poll() is None, self._errors.read_text()
        return False

    def _say(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()
