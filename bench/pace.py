"""A client with a clock: sends prepared requests at a fixed rate, from a process of its own.

A latency counts from the moment its request was due, not from the moment a connection was free for it: a receiver that
stalls makes everybody wait who would have come in that time, and a client that politely waits as well hides them
("coordinated omission"). Without a rate it sends as fast as it is answered, which stands in for wrk where that is
missing.

`python -m bench.pace PORT FILE [--rate N] [--seconds N] [--connections N]` prints one JSON object.
"""

import argparse
import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.prepared import read

ANSWER_TIMEOUT_S = 30.0
HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Seen:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    lost: int = 0
    sent: int = 0


class Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.due = 0.0
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), ANSWER_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def fileno(self) -> int:
        """Give what select() asks for."""
        return self._socket.fileno()

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due then."""
        self.due = due
        self._received = b""
        self._socket.sendall(request)

    def receive(self) -> int | None:
        """Read what came; give the status once the answer is complete. Raises ConnectionError when it was cut off."""
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError
        self._received += data
        head, end, body = self._received.partition(HEAD_END)
        complete = bool(end) and len(body) >= _content_length(head)
        return int(head[9:12]) if complete else None

    def reopen(self) -> None:
        """Begin anew."""
        self.close()
        self._open()

    def close(self) -> None:
        """End it."""
        self._socket.close()


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


class Pace:
    """Sends what is due to whoever is free, and reads what is answered."""

    def __init__(self, port: int, requests: Iterator[bytes], *, rate: float | None, connections: int) -> None:
        self.seen = Seen()
        self._requests = requests
        self._gap_s = 1 / rate if rate else 0.0
        self._free = [Connection(port) for _ in range(connections)]
        self._busy: set[Connection] = set()

    def run(self, seconds: float) -> float:
        """Send for so long, or all there is, and wait for the answers. Give how long it took."""
        began = time.perf_counter()
        due, request = began, next(self._requests, None)
        while request is not None or self._busy:
            now = time.perf_counter()
            while request is not None and self._free and due <= now:
                self._send(request, due if self._gap_s else now)
                due += self._gap_s
                request = next(self._requests, None) if due - began < seconds and now - began < seconds else None
            waits = request is not None and bool(self._free)
            self._read(max(0.0, due - time.perf_counter()) if waits else ANSWER_TIMEOUT_S)
        return time.perf_counter() - began

    def _send(self, request: bytes, due: float) -> None:
        connection = self._free.pop()
        self._busy.add(connection)
        self.seen.sent += 1
        connection.send(request, due)

    def _read(self, timeout_s: float) -> None:
        # select() alone waits for microseconds: epoll and poll count in milliseconds.
        readable, _, _ = select.select(self._busy, [], [], timeout_s)
        if not readable and timeout_s == ANSWER_TIMEOUT_S:
            sys.exit(f"no answer within {ANSWER_TIMEOUT_S:g} s")
        for connection in readable:
            self._read_one(connection)

    def _read_one(self, connection: Connection) -> None:
        try:
            status = connection.receive()
        except ConnectionError:
            self.seen.lost += 1
            connection.reopen()
        else:
            if status is None:
                return
            self.seen.statuses[status] += 1
            self.seen.latencies_s.append(time.perf_counter() - connection.due)
        self._busy.discard(connection)
        self._free.append(connection)

    def close(self) -> None:
        """End all connections."""
        for connection in (*self._free, *self._busy):
            connection.close()


def percentile(values: list[float], percent: float) -> float:
    """Give the value that so many percent do not exceed; 0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def main() -> None:
    """Send, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.pace")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    pace = Pace(options.port, read(options.file), rate=options.rate, connections=options.connections)
    took_s = pace.run(options.seconds)
    pace.close()
    seen = pace.seen
    result = {
        "statuses": seen.statuses,
        "lost": seen.lost,
        "sent": seen.sent,
        "seconds": took_s,
        "p50_ms": percentile(seen.latencies_s, 50) * 1000,
        "p99_ms": percentile(seen.latencies_s, 99) * 1000,
        "max_ms": max(seen.latencies_s, default=0.0) * 1000,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
