"""One request as metrics and traces see it, from its arrival to its answer."""

import time

from config.metrics import Metrics
from config.traces import UNTRACED, Traces
from ledger.event import NewEvent, Receipt


class Arrival:
    """Begins when a request arrives. Nothing here raises or waits."""

    def __init__(self, source: str, *, metrics: Metrics, traces: Traces) -> None:
        self._source = source
        self._metrics = metrics
        self._traces = traces
        self._began = time.perf_counter()
        self._event: NewEvent | None = None
        # Of a request that is rejected it is never ended, so that no collector hears of it: anybody can send those.
        self._request = traces.begin("receive", kind="server", source=source)
        self._append = UNTRACED

    def verified(self, event: NewEvent) -> NewEvent:
        """Take the event that came of it; give it with the trace that its handling belongs to."""
        self._event = event
        if not self._traces.on:
            return event
        traceparent = self._request.traceparent
        self._append = self._traces.begin("append", parent=traceparent, source=event.source, type=event.type)
        return event._replace(traceparent=traceparent)

    def stored(self, receipt: Receipt) -> None:
        """Take what the ledger says."""
        self._append.end(event_id=receipt.event_id)

    def answered(self, receipt: Receipt) -> None:
        """Count it: the answer is ready."""
        result = "duplicate" if receipt.duplicate else "accepted"
        self._end(result, event_id=receipt.event_id)

    def unavailable(self) -> None:
        """Count it: it cannot be said that the event is on disk."""
        self._append.end(failed=True)
        self._end("unavailable", failed=True)

    def rejected(self, reason: str) -> None:
        """Count it: it is refused."""
        self._metrics.request_rejected(source=self._source, reason=reason)

    def _end(self, result: str, *, event_id: int | None = None, failed: bool = False) -> None:
        event = self._event
        if event is None:
            return
        self._metrics.event_answered(
            source=self._source,
            result=result,
            secret_position=event.secret_position,
            seconds=time.perf_counter() - self._began,
        )
        self._request.end(failed=failed, type=event.type, event_id=event_id, outcome=result)
