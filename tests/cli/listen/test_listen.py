"""`hookline listen`: what comes in is sent on, also what came in while it did not run, and it says when it waits."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from cli.listen.stream import LOOKBACK, PAGE, Position, position_at, unseen
from ledger.store import Ledger
from tests.cli.dev.waiting import wait_until
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store

BODY = b'{"object": "event"}\n'


class Listening:
    """A `hookline listen` that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def notes(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.readline().rstrip("\n")

    def sent(self) -> tuple[int, int]:
        """Give the event that was answered next, and the status."""
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        return said["event"], said["http_status"]

    def end(self) -> tuple[str, str, int]:
        self._process.send_signal(signal.SIGINT)
        return (*self._process.communicate(), self._process.returncode)


@contextmanager
def listening(shell: Shell, url: str, *words: str) -> Iterator[Listening]:
    """Listen until the end of the block, which must come without a word."""
    with shell.start("listen", "--forward-to", url, "--json", *words) as process:
        its = Listening(process)
        try:
            yield its
            assert its.end() == ("", "", 0)
        finally:
            process.kill()


def test_it_sends_what_comes_in_and_what_it_missed_and_waits_for_a_server_that_is_away(
    shell: Shell, ledger: Ledger
) -> None:
    def arrive(key: str, type_: str = "charge.refunded") -> None:
        store(ledger, new_event(key=key, type=type_, body=BODY))

    words = ("--events", "charge.*,invoice.paid", "--secret", SECRET)
    arrive("before")
    with serving() as (url, came), listening(shell, url, *words) as its:
        assert its.notes() == f"sending to {url}: what comes in from now on"
        arrive("other", "payout.paid")
        arrive("first")
        assert its.sent() == (3, 200)
        (place,) = (shell.directory / "listen").glob("*.json")
        wait_until(lambda: json.loads(place.read_text())["newest"] == 3)  # until then it would be sent again
    ((_, headers, body),) = came
    assert (headers["hookline-external-id"], headers["hookline-trigger"], body) == ("first", "listen", BODY)
    arrive("missed")
    with listening(shell, url, *words) as its:
        assert its.notes() == f"sending to {url}: what came in after event 3, and then what comes in"
        assert its.notes().startswith(f"nothing listens at {url} (")
        port = int(re.findall(r":(\d+)/", url)[0])
        with serving(port=port):
            assert its.notes() == f"{url} answers again"
            arrive("second", "invoice.paid")
            assert [its.sent(), its.sent()] == [(4, 200), (5, 200)]
    with serving(port=port), listening(shell, url, "--since", "1h", *words) as its:
        its.notes()
        assert [its.sent() for _ in range(4)] == [(1, 200), (3, 200), (4, 200), (5, 200)]


def test_without_a_secret_it_signs_with_the_one_that_it_prints(bare_shell: Shell) -> None:
    printed = bare_shell.run("listen", "--print-secret")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert re.fullmatch(r"whsec_[0-9a-f]{64}\n", printed.stdout)
    assert printed.stdout.strip() in (bare_shell.directory / "dev-secrets.env").read_text()
    assert bare_shell.run("listen", "--print-secret").stdout == printed.stdout
    assert bare_shell.run("listen").returncode == 2
    assert "is another machine" in bare_shell.refused("listen", "--forward-to", "http://192.0.2.1/")


class Events:
    """Ids that appear in any order."""

    def __init__(self) -> None:
        self.ids: set[int] = set()
        self.hidden: set[int] = set()

    def newest(self, *, before: float | None = None) -> int:
        return 0 if before is not None else max(self.ids, default=0)

    def ids_after(self, event_id: int, *, limit: int) -> list[int]:
        return sorted(each for each in self.ids if each > event_id)[:limit]

    def events_of(self, ids: list[int]) -> list[dict[str, int]]:
        return [{"id": each} for each in sorted(ids) if each not in self.hidden]


def drain(events: Events, position: Position) -> list[int]:
    found: list[int] = []
    while new := unseen(events, position):
        for view in new:
            position.mark(view["id"])
            found.append(view["id"])
    return found


def test_an_event_that_appears_below_one_that_was_seen_is_sent_too_and_each_once() -> None:
    events = Events()
    events.ids = set(range(1, 2 * LOOKBACK)) - {LOOKBACK + 7}
    position = position_at(events, since=None)
    assert drain(events, position) == []
    events.ids |= {LOOKBACK + 7, 2 * LOOKBACK}
    assert drain(events, position) == [LOOKBACK + 7, 2 * LOOKBACK]
    assert drain(events, position) == []
    assert drain(events, position_at(events, since=1.0)) == sorted(events.ids)


def test_events_that_nobody_is_shown_do_not_hide_those_that_come_after_them() -> None:
    events = Events()
    events.hidden = set(range(1, 3 * PAGE)) - {7}
    events.ids = {*events.hidden, 7, 3 * PAGE}
    assert drain(events, Position()) == [7, 3 * PAGE]
