"""Work off the effects, one by one: commit `sending`, call Slack with no transaction open, commit what came of it."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from handlers.notifications.reminder import REMINDER, render_reminder
from handlers.notifications.storm import render_storm
from ledger import effects, line
from ledger.effects import Effect, Place
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from workers.console import render
from workers.post import AnswerLost, Busy, CannotLook, Gone, NotSent, Refused, Slack, repeats
from workers.report import Report, Span
from workers.watch import RanTooLong, Watch

LANES = 2
# Threads of one process that may wait for Slack at a time: the others belong to the handlers. A channel has one
# message on its way at a time (`ledger.line`), so two lanes serve two channels.

DRAIN_S = 60.0
# After so long a lane is given back, whatever still waits: the sweeper rings again.

REST_LIMIT_S = 2.0
# How long a lane waits for a channel to be free. What takes longer is left to the sweeper.

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
        sent, until = 0, time.monotonic() + DRAIN_S
        while not self._stopping.is_set() and time.monotonic() < until:
            if self._send_next():
                sent += 1
            elif not self._rest():
                break
        return sent

    def _rest(self) -> bool:
        """Wait until the next channel is free. Say whether there is one that is worth waiting for."""
        if self._slack is None:
            return False
        with self._ledger.read() as db:
            now = time.time()
            rest_s = line.free_in(db, now)
            if rest_s == 0:  # it came free since it was looked at: folding took as long as the rest
                return line.is_due(db, now)
        if rest_s is None or rest_s > REST_LIMIT_S:
            return False
        return not self._stopping.wait(rest_s)

    def _send_next(self) -> bool:
        token = secrets.token_hex(16)
        with self._watch.over(token, effects.beat):
            with self._ledger.write() as db:
                effect = line.claim_next(db, token=token, now=time.time(), in_line=self._slack is not None)
                written = None if effect is None else _written(db, effect)
            if effect is not None:
                self._send(written, effect, token)
        return effect is not None

    def _send(self, written: Effect | None, effect: Effect, token: str) -> None:
        began_at = time.time()
        outcome = self._kept(effect, token) if written is None else self._try(written, token)
        self._report.effect(effect, outcome, Span(began_at, time.time()))

    def _try(self, effect: Effect, token: str) -> str:
        """Send it and record what came of it. Give the word for that: see `config.metrics.EFFECT_OUTCOMES`."""
        if self._slack is None:
            print(render(effect), flush=True)  # noqa: T201  # the console is where it is sent to
        if self._slack is None or (effect.parent is not None and effect.thread is None):
            # A line for a thread is never alone in the channel, where nobody knows what it belongs to.
            return self._kept(effect, token)
        try:
            posted, outcome = self._call(self._slack, effect)
        except AnswerLost as error:
            return self._lost(effect, token, error)
        except Busy as error:
            self._wait(effect, token, error)
            return "paused"
        except Gone as error:
            return self._gone(effect, token, error)
        except NotSent as error:
            return self._failed(effect, token, error)
        self._sent(effect, token, posted, outcome)
        return outcome

    def _call(self, slack: Slack, effect: Effect) -> tuple[Place, str]:
        try:
            with self._watch.limit(self._call_limit_s):
                found = self._found(slack, effect)
                return (found, "found") if found else (slack.post(effect), "sent")
        except RanTooLong:
            raise AnswerLost(f"no answer within {self._call_limit_s:g} s") from None

    def _found(self, slack: Slack, effect: Effect) -> Place | None:
        """Look for a message whose answer was lost, before it is sent again."""
        if not effect.lost_answers or effect.place is not None or "user" in effect.message:
            return None
        channel_id = effect.thread.channel_id if effect.thread else self._channel_id(effect)
        try:
            return slack.find(effect, channel_id or effect.channel)
        except AnswerLost as error:
            raise NotSent(str(error)) from error  # it was only a question
        except CannotLook as error:
            log.warning(
                "cannot look for a lost post", **_known(effect), reason=str(error), channel_known=bool(channel_id)
            )
            return None

    def _channel_id(self, effect: Effect) -> str | None:
        with self._ledger.read() as db:
            return effects.channel_id(db, effect.channel)

    def _record(self, effect: Effect, work: Callable[[Connection], bool]) -> bool:
        def and_leave(db: Connection) -> bool:
            held = work(db)
            line.leave(db, effect.channel, time.time())
            return held

        return self._ledger.insist(and_leave, for_s=INSIST_S)

    def _sent(self, effect: Effect, token: str, posted: Place, outcome: str) -> None:
        now = time.time()
        # What was found may have been posted before it was to read as it does now: then it is changed next.
        known = replace(effect, revision=-1) if outcome == "found" and effect.revision else effect
        held = self._record(
            effect,
            lambda db: effects.mark_sent(
                db,
                known,
                token=token,
                channel_id=posted.channel_id,
                ts=posted.ts,
                now=now,
                repeats=outcome == "sent" and repeats(effect),
            ),
        )
        log.info("effect sent", **_known(effect), claim_held=held)

    def _kept(self, effect: Effect, token: str) -> str:
        self._record(effect, lambda db: effects.mark_kept(db, effect, token=token, now=time.time()))
        return "kept"

    def _gone(self, effect: Effect, token: str, error: Gone) -> str:
        if effect.place is None:
            return self._kept(effect, token)
        self._record(effect, lambda db: effects.mark_gone(db, effect, token=token, now=time.time()))
        log.warning("message is gone", **_known(effect), error=str(error), next="it is posted anew")
        return "failed"

    def _lost(self, effect: Effect, token: str, error: AnswerLost) -> str:
        if effect.place is not None:
            return self._failed(effect, token, NotSent(str(error)))  # a change that is made twice is made once
        now = time.time()
        due_at = effect.schedule.next_due(now)
        if due_at is None:
            self._record(effect, lambda db: effects.mark_dead(db, effect, token=token, error=str(error), now=now))
        else:
            self._record(
                effect, lambda db: effects.mark_ambiguous(db, effect, token=token, due_at=due_at, error=str(error))
            )
        log.warning("effect ambiguous", **_known(effect), error=str(error), dead=due_at is None)
        return "dead" if due_at is None else "ambiguous"

    def _wait(self, effect: Effect, token: str, error: Busy) -> None:
        now, pause_s = time.time(), error.after_s
        self._record(effect, lambda db: effects.pause_channel(db, effect, token=token, now=now, pause_s=pause_s))
        log.info("channel paused", **_known(effect), after_s=error.after_s)

    def _failed(self, effect: Effect, token: str, error: NotSent) -> str:
        now = time.time()
        due_at = None if isinstance(error, Refused) else effect.schedule.next_due(now)
        if due_at is None:
            self._record(effect, lambda db: effects.mark_dead(db, effect, token=token, error=str(error), now=now))
        else:
            self._record(
                effect, lambda db: effects.mark_failed(db, effect, token=token, due_at=due_at, error=str(error))
            )
        log.warning("effect failed", **_known(effect), error=str(error), dead=due_at is None)
        return "dead" if due_at is None else "failed"


def _written(db: Connection, effect: Effect) -> Effect | None:
    """Write what is written only when it is sent; None if there is nothing to say any more."""
    if "storm" in effect.message:
        return render_storm(db, effect)
    return render_reminder(db, effect) if REMINDER in effect.message else effect


def _known(effect: Effect) -> dict[str, object]:
    return {"event_id": effect.event_id, "effect_id": effect.id, "key": effect.key, "channel": effect.channel}
