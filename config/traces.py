"""Traces: spans for an OpenTelemetry collector, if the environment names one; else nothing, at no cost.

One webhook is one trace, from its request to the last effect. Whoever handles it later finds the trace in the event's
row (`traceparent`, as in W3C Trace Context), because a doorbell holds only ids.

No span holds a body, a header or a secret, and no trace begins outside: a sender's own `traceparent` would let
strangers decide what is sampled, and write into the traces of others.
"""

import threading
from typing import TYPE_CHECKING, Literal, TypeAlias

from config.errors import InvalidSettings
from config.settings import Settings

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

STOP_S = 0.8
# For the last spans. A collector that is away or slow delays no shutdown.

NANOSECONDS = 1_000_000_000

Kind: TypeAlias = Literal["server", "internal", "consumer", "client"]
Attribute: TypeAlias = str | int | None


class Span:
    """Something that has begun. Without `end` nobody hears of it."""

    def __init__(self, span: "trace.Span | None") -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """Name it for what comes of it later, perhaps elsewhere."""
        return None if self._span is None else _written(self._span)

    def end(self, *, at: float | None = None, failed: bool = False, **attributes: Attribute) -> None:
        """Tell the collector. `at`: Unix seconds, now unless given."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        self._span.set_attributes(_named(attributes))
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(None if at is None else int(at * NANOSECONDS))


UNTRACED = Span(None)


class Traces:
    """Makes one process's spans."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        """Take what makes spans: see `make_traces`. Without it none are made."""
        self._provider = provider
        self._tracer = provider.get_tracer("hookline") if provider else None

    @property
    def on(self) -> bool:
        """Whether anybody wants to know."""
        return self._tracer is not None

    def begin(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        parent: str | None = None,
        at: float | None = None,
        **attributes: Attribute,
    ) -> Span:
        """Begin a span.

        Args:
            name: one of a few words.
            kind: OpenTelemetry's.
            parent: the traceparent of what it comes of; without one, a trace begins.
            at: when it began (Unix seconds); now unless given.
            attributes: what is known of it.

        """
        if self._tracer is None:
            return UNTRACED
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        return Span(
            self._tracer.start_span(
                name,
                context=_read(parent),
                kind=SpanKind[kind.upper()],
                start_time=None if at is None else int(at * NANOSECONDS),
                attributes=_named(attributes),
            )
        )

    def stop(self) -> None:
        """Send what has not been sent, if the collector takes it in time."""
        if self._provider is not None:
            # OpenTelemetry's own shutdown waits for 30 s.
            thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
            thread.start()
            thread.join(STOP_S)


def make_traces(settings: Settings) -> Traces:
    """Make what makes this process's spans. The variables OTEL_… mean what OpenTelemetry says; HTTP is spoken.

    A forked child makes its own. Nothing becomes global: FastAPI would add spans that begin outside.

    Raises:
        InvalidSettings: one of them cannot be used.

    """
    if not (settings.otel_exporter_otlp_endpoint or settings.otel_exporter_otlp_traces_endpoint):
        return Traces()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    try:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise InvalidSettings([f"one of the OTEL_ variables cannot be used: {error}"]) from None
    return Traces(provider)


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource  # noqa: PLC0415

    said = OTELResourceDetector().detect()
    named = {} if SERVICE_NAME in said.attributes else {SERVICE_NAME: "hookline"}
    return Resource.create(named)


def _named(attributes: dict[str, Attribute]) -> dict[str, str | int]:
    return {f"hookline.{name}": value for name, value in attributes.items() if value is not None}


def _written(span: "trace.Span") -> str | None:
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    return carrier.get("traceparent")


def _read(traceparent: str | None) -> "Context":
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    # An empty context where there is no parent: what goes on around us is nobody's.
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent or ""}, Context())
