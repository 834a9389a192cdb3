"""One request as metrics and traces see it, from its arrival to its answer."""

import time

from config.metrics import Metrics
from config.traces import UNTRACED, Traces
from ledger.event import NewEvent, Receipt


class Arrival:
    """Begins when a request arrives. Nothing here raises or waits."""

    __slots__ = ("_began", "_event", "_metrics", "_source")

    def __init__(self, source: str, metrics: Metrics) -> None:
        self._source = source
        self._metrics = metrics
        self._began = time.perf_counter()
        self._event: NewEvent | None = None

    def verified(self, event: NewEvent) -> NewEvent:
        """Take the event that came of it; give it with the trace that its handling belongs to."""
        self._event = event
        return event

    def stored(self, receipt: Receipt) -> None:
        """Take what the ledger says."""

    def answered(self, receipt: Receipt) -> None:
        """Count it: the answer is ready."""
        self._count("duplicate" if receipt.duplicate else "accepted")

    def unavailable(self) -> None:
        """Count it: it cannot be said that the event is on disk."""
        self._count("unavailable")

    def rejected(self, reason: str) -> None:
        """Count it: it is refused."""
        self._metrics.request_rejected(source=self._source, reason=reason)

    def _count(self, result: str) -> None:
        event = self._event
        if event is not None:
            self._metrics.event_answered(
                source=self._source,
                result=result,
                secret_position=event.secret_position,
                seconds=time.perf_counter() - self._began,
            )


class TracedArrival(Arrival):
    """The same with spans.

    Of a request that is rejected the span is never ended, so that no collector hears of it: anybody can send those.
    """

    __slots__ = ("_append", "_request", "_traces")

    def __init__(self, source: str, metrics: Metrics, traces: Traces) -> None:
        super().__init__(source, metrics)
        self._traces = traces
        self._request = traces.begin("receive", kind="server", source=source)
        self._append = UNTRACED

    def verified(self, event: NewEvent) -> NewEvent:
        """Begin to trace its way into the ledger."""
        traceparent = self._request.traceparent
        self._append = self._traces.begin("append", parent=traceparent, source=event.source, type=event.type)
        return super().verified(event._replace(traceparent=traceparent))

    def stored(self, receipt: Receipt) -> None:
        """End that."""
        self._append.end(event_id=receipt.event_id)

    def answered(self, receipt: Receipt) -> None:
        """End all of it."""
        super().answered(receipt)
        self._end("duplicate" if receipt.duplicate else "accepted", event_id=receipt.event_id)

    def unavailable(self) -> None:
        """End all of it in failure."""
        super().unavailable()
        self._append.end(failed=True)
        self._end("unavailable", failed=True)

    def _end(self, result: str, *, event_id: int | None = None, failed: bool = False) -> None:
        if self._event is not None:
            self._request.end(failed=failed, type=self._event.type, event_id=event_id, outcome=result)


def arrive(source: str, metrics: Metrics, traces: Traces) -> Arrival:
    """Begin, with spans if anybody wants them."""
    return TracedArrival(source, metrics, traces) if traces.on else Arrival(source, metrics)
