"""The client with a clock: whoever stalls is charged for everybody who would have come in that time."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.pace import Pace

STALL_S = 0.4
RATE = 100.0
STALLED_AT = 10

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


class Receiver(BaseHTTPRequestHandler):
    """Answers at once, but for one request."""

    protocol_version = "HTTP/1.1"
    seen = 0

    def do_POST(self) -> None:
        self.rfile.read(2)
        Receiver.seen += 1
        if Receiver.seen == STALLED_AT:
            time.sleep(STALL_S)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Receiver.seen = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stall_is_felt_by_everybody_who_was_due_in_it(port: int) -> None:
    pace = Pace(port, iter([REQUEST] * 60), rate=RATE, connections=1)
    pace.run(seconds=60)
    pace.close()
    assert pace.seen.statuses == {200: 60}
    felt = [latency for latency in pace.seen.latencies_s if latency > STALL_S / 2]
    # Half of those who were due in 0.4 s at 100/s. By a clock that starts when a connection is free it is one.
    assert len(felt) >= STALL_S / 2 * RATE * 0.8


def test_it_never_sends_before_a_request_is_due(port: int) -> None:
    pace = Pace(port, iter([REQUEST] * 30), rate=RATE, connections=4)
    took_s = pace.run(seconds=60)
    pace.close()
    assert took_s >= 29 / RATE


def test_without_a_rate_it_sends_as_fast_as_it_is_answered_until_its_time_is_over(port: int) -> None:
    pace = Pace(port, iter(lambda: REQUEST, None), rate=None, connections=4)
    took_s = pace.run(seconds=0.2)
    pace.close()
    assert took_s >= 0.2
    assert pace.seen.statuses == {200: pace.seen.sent}
