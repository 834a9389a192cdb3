"""A developer's own server, as their laptop would run it: it verifies with Stripe's SDK, and keeps what came in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe

SECRET = "whsec_of_a_laptop_0123456789"


@contextmanager
def serving(status: int = 200, location: str = "", port: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Serve on loopback: construct_event judges; give the URL and what came in."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came.append((self.path, headers, body))
            stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.end_headers()
            self.wfile.write(b"seen\x1b[31m")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name for it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/webhooks/stripe?a=1", came
        server.shutdown()
        thread.join()
