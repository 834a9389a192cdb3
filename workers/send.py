"""Work off the effects, one by one: commit `sending`, call Slack with no transaction open, commit what came of it."""

import secrets
import threading
import time
from collections.abc import Callable

import structlog

from ledger import effects
from ledger.effects import Effect
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from workers.console import render
from workers.post import AnswerLost, Busy, CannotLook, NotSent, Posted, Refused, Slack
from workers.watch import Watch

LANES = 2
# Threads of one process that may wait for Slack at a time: the others belong to the handlers.

DRAIN_S = 20.0
# A lane that has worked this long rings again and makes room, so that shutting down never waits for a backlog.

log = structlog.get_logger()


class Sender:
    """Sends effects for one worker process."""

    def __init__(self, *, ledger: Ledger, slack: Slack | None, watch: Watch, ring_effects: Callable[[], None]) -> None:
        """Take what is needed. Without `slack`, effects are shown on the console and kept."""
        self._ledger = ledger
        self._slack = slack
        self._watch = watch
        self._ring_effects = ring_effects
        self._lanes = threading.BoundedSemaphore(LANES)

    def send(self) -> None:
        """Send all that is due, unless enough threads are at it already."""
        until = time.monotonic() + DRAIN_S
        # Once more after the lane was given back: what was planned in between found it taken.
        while self._lanes.acquire(blocking=False):
            try:
                sent = self._drain(until)
            except LedgerUnavailable as error:
                log.warning("effects left waiting", error=str(error), left_to="sweeper")
                return
            finally:
                self._lanes.release()
            if time.monotonic() > until:
                self._ring_effects()
                return
            if not sent:
                return

    def _drain(self, until: float) -> int:
        sent = 0
        while time.monotonic() <= until and self._send_next():
            sent += 1
        return sent

    def _send_next(self) -> bool:
        token = secrets.token_hex(16)
        with self._ledger.write() as db:
            effect = effects.claim_next(db, token=token, now=time.time())
        if effect is None:
            return False
        with self._watch.over(token, effects.beat):
            self._send(effect, token)
        return True

    def _send(self, effect: Effect, token: str) -> None:
        if self._slack is None:
            print(render(effect), flush=True)  # noqa: T201  # the console is where it is sent to
            with self._ledger.write() as db:
                effects.mark_kept(db, effect, token=token, now=time.time())
            return
        try:
            posted = self._found(self._slack, effect) or self._slack.post(effect)
        except AnswerLost as error:
            self._lost(effect, token, error)
        except Busy as error:
            self._wait(effect, token, error)
        except NotSent as error:
            self._failed(effect, token, error)
        else:
            self._sent(effect, token, posted)

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
            log.warning("cannot look for a lost post", **_known(effect), reason=str(error), needs="channels:history")
            return None

    def _sent(self, effect: Effect, token: str, posted: Posted) -> None:
        with self._ledger.write() as db:
            held = effects.mark_sent(
                db,
                effect,
                token=token,
                channel_id=posted.channel_id,
                ts=posted.ts,
                now=time.time(),
            )
        log.info("effect sent", **_known(effect), claim_held=held)

    def _lost(self, effect: Effect, token: str, error: AnswerLost) -> None:
        due_at = effect.schedule.next_due(time.time())
        with self._ledger.write() as db:
            if due_at is None:
                effects.mark_dead(db, effect, token=token, error=str(error), now=time.time())
            else:
                effects.mark_ambiguous(db, effect, token=token, due_at=due_at, error=str(error))
        log.warning("effect ambiguous", **_known(effect), error=str(error))

    def _wait(self, effect: Effect, token: str, error: Busy) -> None:
        with self._ledger.write() as db:
            effects.pause_channel(db, effect, token=token, until=time.time() + error.after_s)
        log.info("channel paused", **_known(effect), after_s=error.after_s)

    def _failed(self, effect: Effect, token: str, error: NotSent) -> None:
        due_at = None if isinstance(error, Refused) else effect.schedule.next_due(time.time())
        with self._ledger.write() as db:
            if due_at is None:
                effects.mark_dead(db, effect, token=token, error=str(error), now=time.time())
            else:
                effects.mark_failed(db, effect, token=token, due_at=due_at, error=str(error))
        log.warning("effect failed", **_known(effect), error=str(error), dead=due_at is None)


def _known(effect: Effect) -> dict[str, object]:
    return {"event_id": effect.event_id, "effect_id": effect.id, "key": effect.key, "channel": effect.channel}
