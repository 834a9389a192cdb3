"""Stands in for Stripe's API: answers what it was given, and refuses whoever does not ask as Stripe's SDK does."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "rk_of_the_stand_in"
SETTLED = re.compile(r"/v1/(charges|refunds|payouts|topups|transfers)/")
VERSION = re.compile(r"\d{4}-\d\d-\d\d\.[a-z]+")


class StripeStandIn:
    """What it answers, by path; and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = 0  # Unix seconds
        self.objects: dict[str, Mapping[str, Any]] = {}
        self.refusals: dict[str, tuple[int, Mapping[str, str]]] = {}  # status and headers
        self.asked: list[str] = []
        self.contexts: list[str | None] = []

    def answer(self, path: str, headers: Mapping[str, str | None]) -> tuple[int, Mapping[str, str], object]:
        """Answer as Stripe does."""
        if headers["authorization"] != f"Bearer {KEY}":
            return 401, {}, _error("invalid_request_error", "api_key_invalid")
        if not VERSION.fullmatch(headers["stripe-version"] or ""):
            return 400, {}, _error("invalid_request_error", "version_missing")
        self.asked.append(path)
        self.contexts.append(headers["stripe-context"] or headers["stripe-account"])
        bare = path.partition("?")[0]
        if bare in self.refusals:
            status, more = self.refusals[bare]
            return status, more, _error("api_error", "refused")
        if bare not in self.objects:
            return 404, {}, _error("invalid_request_error", "resource_missing")
        if "expand" in path and not SETTLED.match(bare):
            return 400, {}, _error("invalid_request_error", "property_cannot_be_expanded")
        return 200, {}, self.objects[bare]


def _error(type_: str, code: str) -> object:
    return {"error": {"type": type_, "code": code, "message": "no"}}


@contextmanager
def open_stripe() -> Iterator[StripeStandIn]:
    """Start it on some port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's name
            headers = {
                name: self.headers.get(name)
                for name in ("authorization", "stripe-version", "stripe-context", "stripe-account")
            }
            status, more, content = stand_in.answer(self.path, headers)
            body = json.dumps(content).encode()
            self.send_response_only(status)
            self.send_header("date", formatdate(stand_in.now, usegmt=True))
            self.send_header("content-length", str(len(body)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in = StripeStandIn(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()
