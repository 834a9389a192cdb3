"""Work off the effects, one by one: commit `sending`, call Slack with no transaction open, commit what came of it."""

import secrets
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from ledger import effects
from ledger.effects import Effect
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from workers.console import render
from workers.post import AnswerLost, Busy, CannotLook, NotSent, Posted, Refused, Slack
from workers.report import Report, Span
from workers.watch import RanTooLong, Watch

LANES = 2
# Threads of one process that may wait for Slack at a time: the others belong to the handlers. Two lanes keep no order
# between the messages of a channel; each says when what it tells of happened.

CALL_LIMIT_S = 20.0
# For all that one effect asks of Slack. A time-out of sockets counts from byte to byte, and addresses come in dozens.

INSIST_S = 60.0
# How long a lane tries to record what Slack has said, before the sweeper has to call it ambiguous.

log = structlog.get_logger()


class Sender:
    """Sends effects for one worker process."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        slack: Slack | None,
        watch: Watch,
        report: Report,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Take what is needed. Without `slack`, effects are shown on the console and kept."""
        self._ledger = ledger
        self._slack = slack
        self._watch = watch
        self._report = report
        self._call_limit_s = call_limit_s
        self._lanes = threading.BoundedSemaphore(LANES)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin no further effect: what waits is sent by the next worker."""
        self._stopping.set()

    def send(self) -> None:
        """Send all that is due, unless enough threads are at it already."""
        # Once more after the lane was given back: what was planned in between found it taken.
        sent = True
        while sent and self._lanes.acquire(blocking=False):
            try:
                sent = self._drain() > 0
            except LedgerUnavailable as error:
                log.warning("effects left waiting", error=str(error), left_to="sweeper")
                return
            finally:
                self._lanes.release()

    def _drain(self) -> int:
        sent = 0
        while not self._stopping.is_set() and self._send_next():
            sent += 1
        return sent

    def _send_next(self) -> bool:
        token = secrets.token_hex(16)
        with self._watch.over(token, effects.beat):
            with self._ledger.write() as db:
                effect = effects.claim_next(db, token=token, now=time.time())
            if effect is not None:
                self._send(effect, token)
        return effect is not None

    def _send(self, effect: Effect, token: str) -> None:
        began_at = time.time()
        outcome = self._try(effect, token)
        self._report.effect(effect, outcome, Span(began_at, time.time()))

    def _try(self, effect: Effect, token: str) -> str:
        """Send it and record what came of it. Give the word for that: see `config.metrics.EFFECT_OUTCOMES`."""
        if self._slack is None:
            print(render(effect), flush=True)  # noqa: T201  # the console is where it is sent to
            self._record(lambda db: effects.mark_kept(db, effect, token=token, now=time.time()))
            return "kept"
        try:
            posted, outcome = self._call(self._slack, effect)
        except AnswerLost as error:
            return self._lost(effect, token, error)
        except Busy as error:
            self._wait(effect, token, error)
            return "paused"
        except NotSent as error:
            return self._failed(effect, token, error)
        self._sent(effect, token, posted)
        return outcome

    def _call(self, slack: Slack, effect: Effect) -> tuple[Posted, str]:
        try:
            with self._watch.limit(self._call_limit_s):
                found = self._found(slack, effect)
                return (found, "found") if found else (slack.post(effect), "sent")
        except RanTooLong:
            raise AnswerLost(f"no answer within {self._call_limit_s:g} s") from None

    def _found(self, slack: Slack, effect: Effect) -> Posted | None:
        """Look for a message whose answer was lost, before it is sent again."""
        if not effect.lost_answers:
            return None
        with self._ledger.read() as db:
            channel_id = effects.channel_id(db, effect.channel)
        try:
            return slack.find(effect, channel_id or effect.channel)
        except AnswerLost as error:
            raise NotSent(str(error)) from error  # it was only a question
        except CannotLook as error:
            log.warning(
                "cannot look for a lost post", **_known(effect), reason=str(error), channel_known=bool(channel_id)
            )
            return None

    def _record(self, work: Callable[[Connection], bool]) -> bool:
        return self._ledger.insist(work, for_s=INSIST_S)

    def _sent(self, effect: Effect, token: str, posted: Posted) -> None:
        now = time.time()
        held = self._record(
            lambda db: effects.mark_sent(
                db,
                effect,
                token=token,
                channel_id=posted.channel_id,
                ts=posted.ts,
                now=now,
            ),
        )
        log.info("effect sent", **_known(effect), claim_held=held)

    def _lost(self, effect: Effect, token: str, error: AnswerLost) -> str:
        now = time.time()
        due_at = effect.schedule.next_due(now)
        if due_at is None:
            self._record(lambda db: effects.mark_dead(db, effect, token=token, error=str(error), now=now))
        else:
            self._record(lambda db: effects.mark_ambiguous(db, effect, token=token, due_at=due_at, error=str(error)))
        log.warning("effect ambiguous", **_known(effect), error=str(error), dead=due_at is None)
        return "dead" if due_at is None else "ambiguous"

    def _wait(self, effect: Effect, token: str, error: Busy) -> None:
        until = time.time() + error.after_s
        self._record(lambda db: effects.pause_channel(db, effect, token=token, until=until))
        log.info("channel paused", **_known(effect), after_s=error.after_s)

    def _failed(self, effect: Effect, token: str, error: NotSent) -> str:
        now = time.time()
        due_at = None if isinstance(error, Refused) else effect.schedule.next_due(now)
        if due_at is None:
            self._record(lambda db: effects.mark_dead(db, effect, token=token, error=str(error), now=now))
        else:
            self._record(lambda db: effects.mark_failed(db, effect, token=token, due_at=due_at, error=str(error)))
        log.warning("effect failed", **_known(effect), error=str(error), dead=due_at is None)
        return "dead" if due_at is None else "failed"


def _known(effect: Effect) -> dict[str, object]:
    return {"event_id": effect.event_id, "effect_id": effect.id, "key": effect.key, "channel": effect.channel}
