"""Stands in for an OpenTelemetry collector: takes spans over OTLP/HTTP, read by OpenTelemetry's own description."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.servers.ports import unused_port

HOLD_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One span as it was told."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str  # "" without one
    began_ns: int
    ended_ns: int
    failed: bool
    service: str
    attributes: dict[str, str | int]


class Collector:
    """Listens on loopback. It may hang, as a real one may."""

    def __init__(self) -> None:
        self.port = unused_port()
        self.spans: list[Seen] = []
        self.raw = b""  # all that was ever sent
        self.hangs = threading.Event()
        self._release = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._release.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, body: bytes) -> None:
        if self.hangs.is_set():
            self._release.wait(HOLD_S)
        self.raw += body
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource_spans in request.resource_spans:
            service = _read(resource_spans.resource.attributes)["service.name"]
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_seen(span, str(service)) for span in scope_spans.spans]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                collector.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
                pass

        return Handler


def _seen(span: trace_pb2.Span, service: str) -> Seen:
    return Seen(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        service=service,
        attributes=_read(span.attributes),
    )


def _read(attributes: list[KeyValue]) -> dict[str, str | int]:
    return {each.key.removeprefix("hookline."): _value(each.value) for each in attributes}


def _value(value: AnyValue) -> str | int:
    return value.int_value if value.HasField("int_value") else value.string_value
