"""Load: prepared requests sent to one process, as fast as they are answered or at a rate, from a process of its own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import CheckFailed
from bench.plan import CONNECTIONS
from bench.requests import Batch, Kind, count_forged, prepare
from config.settings import CHECKOUT

SCRIPT = Path(__file__).with_name("requests.lua")

SPARE = 2.0
# How many more requests are prepared than the last round used.

FIRST_RATE = 12_000
# Requests/s that nobody here reached: what is prepared before anything is known.

LEAST_RATE = 16_000
# Prepared for in any case: a peer that began beside something else is faster when that is over.

SETTLED_AFTER = 10
# Requests on each of the other connections, by which time the one that was sent before them has its answer.

SLACK_S = 60.0
# For starting and ending, beside the seconds of the load itself.


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one load did. `sent` may be more than what was answered: some were under way at the end."""

    sent: int
    accepted: int  # 2xx
    refused: int  # any other answer
    lost: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds

    @property
    def under_way(self) -> int:
        """Requests that nobody waited for any more: wrk ends between a request and its answer."""
        return self.sent - self.accepted - self.refused

    @property
    def surely_answered(self) -> int:
        """So many of the first requests were answered: those under way are one a connection, and among the last."""
        return max(0, self.sent - SETTLED_AFTER * CONNECTIONS) if self.under_way else self.sent

    def check(self, *, forged_refused: bool) -> None:
        """Make sure that every request was answered as it should be.

        Raises:
            CheckFailed: one was lost, or a forged one was accepted, or a true one refused.

        """
        most = count_forged(self.sent) if forged_refused else 0
        least = count_forged(self.surely_answered) if forged_refused else 0
        if self.lost or not least <= self.refused <= most:
            wanted = f"{least} to {most}" if forged_refused else "none"
            raise CheckFailed(f"{self.refused} of {self.sent} were refused ({wanted} should be), {self.lost} lost")
        if not self.accepted:
            raise CheckFailed("nothing was accepted")


def has_wrk() -> bool:
    """Say whether wrk is installed."""
    return shutil.which("wrk") is not None


class Storm:
    """Load as fast as it is answered, from 32 connections: wrk, or `bench.pace` where that is missing."""

    def __init__(self, kind: Kind, place: Path) -> None:
        self._kind = kind
        self._file = place / "requests"
        self._rate = float(FIRST_RATE)
        self._batch: Batch | None = None

    @property
    def batch(self) -> Batch:
        """Give what the next load sends, or the last one sent. Raises AssertionError before the first `prepare`."""
        if self._batch is None:
            raise AssertionError
        return self._batch

    def prepare(self, seconds: float, *, rate: float | None = None) -> Batch:
        """Make the requests of the next load."""
        wanted = rate or max(self._rate * SPARE, LEAST_RATE)
        self._batch = prepare(self._file, self._kind, max(CONNECTIONS * 4, int(wanted * seconds)))
        return self._batch

    def blow(self, port: int, seconds: float) -> Load:
        """Send what was prepared for so long."""
        return self.read(_run(self.command(port, seconds), seconds))

    def command(self, port: int, seconds: float) -> list[str]:
        """Give the command line that sends for so long, for whoever wants to watch over it."""
        if has_wrk():
            return wrk_command(port, self._file, seconds)
        return pace_command(port, self._file, seconds=seconds)

    def read(self, printed: str) -> Load:
        """Read what that command printed."""
        return read_wrk(printed) if has_wrk() else read_pace(printed)

    def learn(self, *rates: float) -> None:
        """Prepare for rates such as these from now on."""
        self._rate = max(rates)


def wrk_command(port: int, file: Path, seconds: float) -> list[str]:
    """Give the command line of wrk. It counts in whole seconds."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    return [*words, "--script", str(SCRIPT), f"http://127.0.0.1:{port}/", "--", str(file)]


def read_wrk(printed: str) -> Load:
    """Read what `requests.lua` printed at wrk's end."""
    result = _result(printed)
    if result["exhausted"]:
        raise CheckFailed("more requests would have been sent than were prepared")
    return Load(
        sent=int(result["sent"]),
        accepted=int(result["requests"]) - int(result["refused"]),
        refused=int(result["refused"]),
        lost=int(result["lost"]),
        seconds=result["duration_us"] / 1e6,
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
    )


def stream(port: int, file: Path, *, rate: float, seconds: float) -> Load:
    """Send at a rate. Latencies count from when each request was due."""
    return _pace(port, file, rate=rate, seconds=seconds)


def send_all(port: int, file: Path) -> Load:
    """Send all requests of a file, as fast as they are answered."""
    return _pace(port, file)


def pace_command(port: int, file: Path, *, rate: float | None = None, seconds: float | None = None) -> list[str]:
    """Give the command line of `bench.pace`."""
    command = [sys.executable, "-m", "bench.pace", str(port), str(file), "--connections", str(CONNECTIONS)]
    command += [] if rate is None else ["--rate", str(rate)]
    return command + ([] if seconds is None else ["--seconds", str(seconds)])


def _pace(port: int, file: Path, *, rate: float | None = None, seconds: float | None = None) -> Load:
    return read_pace(_run(pace_command(port, file, rate=rate, seconds=seconds), seconds or 3600.0))


def read_pace(printed: str) -> Load:
    """Read what `bench.pace` printed."""
    result = json.loads(printed)
    statuses = {int(status): int(count) for status, count in result["statuses"].items()}
    accepted = sum(count for status, count in statuses.items() if status // 100 == 2)  # noqa: PLR2004  # 2xx
    return Load(
        sent=result["sent"],
        accepted=accepted,
        refused=sum(statuses.values()) - accepted,
        lost=result["lost"],
        seconds=result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
    )


def _run(command: list[str], seconds: float) -> str:
    patience_s = seconds + SLACK_S
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=patience_s, check=False)  # noqa: S603  # our own words
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"{command[0]} did not end within {patience_s:g} s") from None
    if done.returncode != 0:
        raise CheckFailed(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _result(printed: str) -> Mapping[str, float]:
    for line in printed.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            return result
    raise CheckFailed(f"wrk said nothing of its result: {printed[-500:]}")
