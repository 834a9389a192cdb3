"""`/metrics` on a host without a web process: the sweeper serves it there, if HOOKLINE_METRICS_PORT says where."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

PATHS = ("/", "/metrics")
HANG_UP_AFTER_S = 10

log = structlog.get_logger()


def serve_metrics(registry: CollectorRegistry, *, host: str, port: int) -> None:
    """Serve the page from threads of its own. Where that cannot be, the sweeper goes on without."""
    try:
        server = _Server((host, port), _handler_for(registry))
    except OSError as error:
        log.warning("metrics are not served", host=host, port=port, reason=error.strerror or str(error))
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler_for(registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = HANG_UP_AFTER_S

        def do_GET(self) -> None:  # the name that http.server calls
            if self.path not in PATHS:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            page = generate_latest(registry)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # ditto
            """Say nothing: scrapes are no news, and what strangers ask for is not to be logged."""

    return Handler
