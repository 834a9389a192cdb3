"""A provider that sends webhooks, many at once, and keeps a record of its own of what it was answered."""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cli.dev.waiting import wait_until
from tests.servers.http import make_client
from tests.system.parcel import Parcel

ANSWER_S = 30.0
# Longer than anybody's patience: GitHub has ten seconds, and Slack three, which the tests about Slack measure.

REST_S = 0.3
# After a refused connection: providers do not hammer either.


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt. No status: no answer came."""

    external_id: str
    status: int | None
    body: str
    retry_after: str | None = None
    took_s: float

    @property
    def accepted(self) -> bool:
        """A 2xx: it is on disk, and it will be handled."""
        return self.status is not None and httpx.codes.is_success(self.status)

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Record:
    """The file of attempts and answers: what is in it stays in it, whatever dies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, lines: Iterable[dict[str, object]]) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def attempted(self) -> set[str]:
        return {line["external_id"] for line in self._lines() if line["what"] == "attempt"}

    def accepted(self) -> set[str]:
        """Give what was answered with a 2xx."""
        return {line["external_id"] for line in self._lines() if line["what"] == "answer" and line["accepted"]}


class Load:
    """A stream of webhooks that goes on until it is told to stop."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.stopping = threading.Event()

    def accepted(self) -> int:
        return sum(answer.accepted for answer in self.answers)

    def wait_for_accepted(self, count: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many more were answered with a 2xx."""
        wanted = self.accepted() + count
        wait_until(lambda: self.accepted() >= wanted, timeout_s=timeout_s)

    def wait_for_refused(self, count: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many more were not answered with a 2xx."""
        wanted = len(self.answers) - self.accepted() + count
        wait_until(lambda: len(self.answers) - self.accepted() >= wanted, timeout_s=timeout_s)


class Sender:
    """Signs and posts to one service.

    Many at once are as many threads, each with a connection of its own: a client of httpx that holds thirty
    connections takes four times as long for a request as one that holds one.
    """

    def __init__(self, url: str, record: Path) -> None:
        self._url = url
        self.record = Record(record)

    def send(self, parcel: Parcel, *, secret: str | None = None) -> Answer:
        """Send one."""
        return self.send_all([parcel], secret=secret)[0]

    def send_all(self, parcels: Sequence[Parcel], *, at_once: int = 50, secret: str | None = None) -> list[Answer]:
        """Send all of them, up to `at_once` at a time. Give the answers in the same order."""
        lanes = [parcels[first::at_once] for first in range(min(at_once, len(parcels)))]
        with ThreadPoolExecutor(len(lanes) or 1, thread_name_prefix="sender") as threads:
            answers = threads.map(lambda lane: self._send_in_turn(lane, secret), lanes)
            rounds = itertools.zip_longest(*answers)
            return [answer for each in rounds for answer in each if answer is not None]

    @contextmanager
    def load(self, make: Callable[[], Parcel], *, at_once: int = 20, pause_s: float = 0.0) -> Iterator[Load]:
        """Send without end from `at_once` senders while the block runs."""
        load, turn = Load(), threading.Lock()

        def make_in_turn() -> Parcel:
            with turn:  # a generator cannot be asked by two at a time
                return make()

        threads = [
            threading.Thread(target=self._stream, args=(load, make_in_turn, pause_s), name="load")
            for _ in range(at_once)
        ]
        for thread in threads:
            thread.start()
        try:
            yield load
        finally:
            load.stopping.set()
            for thread in threads:
                thread.join()

    def _send_in_turn(self, parcels: Iterable[Parcel], secret: str | None) -> list[Answer]:
        with make_client(self._url, timeout_s=ANSWER_S) as client:
            return [self._post(client, parcel, secret) for parcel in parcels]

    def _stream(self, load: Load, make: Callable[[], Parcel], pause_s: float) -> None:
        with make_client(self._url, timeout_s=ANSWER_S) as client:
            while not load.stopping.is_set():
                answer = self._post(client, make(), None)
                load.answers.append(answer)
                time.sleep(pause_s if answer.status is not None else max(pause_s, REST_S))

    def _post(self, client: httpx.Client, parcel: Parcel, secret: str | None) -> Answer:
        self.record.append([{"what": "attempt", "external_id": parcel.external_id, "at": time.time()}])
        began = time.monotonic()
        try:
            answer = client.post(parcel.path, content=parcel.body, headers=parcel.sign(secret))
        except httpx.HTTPError as error:
            status, body, retry_after = None, type(error).__name__, None
        else:
            status, body, retry_after = answer.status_code, answer.text, answer.headers.get("retry-after")
        seen = Answer(
            external_id=parcel.external_id,
            status=status,
            body=body,
            retry_after=retry_after,
            took_s=time.monotonic() - began,
        )
        self.record.append([{"what": "answer", "at": time.time(), "accepted": seen.accepted, **asdict(seen)}])
        return seen
