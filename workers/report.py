"""What came of a delivery or an effect, told to the log, the metrics and the traces. Never what a body says."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from config.metrics import Metrics
from config.traces import Traces
from ledger.claims import Claimed, Outcome
from ledger.effects import Effect
from ledger.event import DeliveryState, Trigger

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """When something ran (Unix seconds)."""

    began_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0.0, self.ended_at - self.began_at)  # a clock may be set back


class Report:
    """Tells it after the commit: what was rolled back has not happened."""

    def __init__(self, *, metrics: Metrics, traces: Traces) -> None:
        self._metrics = metrics
        self._traces = traces

    def message(self, attempts: Sequence[tuple[Claimed, Outcome, Span]]) -> None:
        """Tell how the attempts of a message went: what failed line by line, what is done in one."""
        done = [claimed for claimed, outcome, _ in attempts if outcome.state == DeliveryState.DONE]
        if len(done) > 1:
            _log_done(done)
        for claimed, outcome, _ in attempts:
            if outcome.state != DeliveryState.DONE or len(done) == 1:
                _log_outcome(claimed, outcome)
        self._count(attempts)
        if self._traces.on:
            for claimed, outcome, ran in attempts:
                self._trace_delivery(claimed, _in_a_word(outcome), ran)

    def delivery(self, claimed: Claimed, outcome: Outcome, ran: Span) -> None:
        """Tell how an attempt went."""
        self.message([(claimed, outcome, ran)])

    def _count(self, attempts: Sequence[tuple[Claimed, Outcome, Span]]) -> None:
        now = time.time()
        took: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        lags: list[float] = []
        for claimed, outcome, ran in attempts:
            took[claimed.delivery.handler, _in_a_word(outcome)].append(ran.seconds)
            if outcome.state is DeliveryState.DONE and claimed.delivery.trigger == Trigger.INITIAL:
                # Retries and replays wait on purpose: that is no lag.
                lags.append(now - claimed.event.received_at)
        self._metrics.handled(seconds=lags)
        for (handler, word), seconds in took.items():
            self._metrics.attempted(handler=handler, outcome=word, seconds=seconds)

    def _trace_delivery(self, claimed: Claimed, outcome: str, ran: Span) -> None:
        event, delivery = claimed.event, claimed.delivery
        deliver = self._traces.begin(
            "deliver",
            kind="consumer",
            parent=event.traceparent,
            at=delivery.started_at,
            source=event.source,
            type=event.type,
            event_id=event.id,
            delivery_id=delivery.id,
            handler=delivery.handler,
            attempt=delivery.attempt,
        )
        failed = outcome != "done"
        handle = self._traces.begin("handle", parent=deliver.traceparent, at=ran.began_at, handler=delivery.handler)
        handle.end(at=ran.ended_at, failed=failed)
        deliver.end(failed=failed, outcome=outcome)

    def effect(self, effect: Effect, outcome: str, ran: Span) -> None:
        """Tell what came of sending an effect."""
        self._metrics.effect_tried(outcome)
        span = self._traces.begin(
            "send",
            kind="client",
            parent=effect.traceparent,
            at=ran.began_at,
            event_id=effect.event_id,
            effect_id=effect.id,
            attempt=effect.attempts,
        )
        span.end(at=ran.ended_at, failed=outcome in ("ambiguous", "failed", "dead"), outcome=outcome)


def _in_a_word(outcome: Outcome) -> str:
    return "crashed" if outcome.crashed else outcome.state.value


def _log_done(done: Sequence[Claimed]) -> None:
    # One line for all: a line costs as much as half a delivery. Every id is in it, for whoever looks for one.
    log.info(
        "deliveries done",
        deliveries=len(done),
        handlers=sorted({each.delivery.handler for each in done}),
        external_ids=" ".join(each.event.external_id for each in done),  # text, which the log takes secrets out of
        event_ids=[each.event.id for each in done],
        delivery_ids=[each.delivery.id for each in done],
    )


def _log_outcome(claimed: Claimed, outcome: Outcome) -> None:
    known = {
        "source": claimed.event.source,
        "type": claimed.event.type,
        "external_id": claimed.event.external_id,
        "event_id": claimed.event.id,
        "delivery_id": claimed.delivery.id,
        "handler": claimed.delivery.handler,
        "attempt": claimed.delivery.attempt,
    }
    if outcome.state == DeliveryState.DONE:
        log.info("delivery done", **known)
    else:
        # The error's text may quote the body, so it is kept in the ledger and not written to the log.
        see = f"hookline events get {claimed.event.id}"
        log.warning("delivery failed", **known, state=outcome.state, see=see)
