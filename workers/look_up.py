"""Work off the look-ups, one by one: claim, ask Stripe with no transaction open, commit what came of it."""

import hashlib
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from handlers.errors import GiveUp
from handlers.payments import look_up
from handlers.router import Router
from ledger import claims
from ledger.append import Doorbells, Room, append
from ledger.claims import Claimed, Outcome, Taken
from ledger.errors import LedgerUnavailable
from ledger.event import JSON, DeliveryState, Event, NewEvent
from ledger.store import Ledger, Transaction, savepoint
from workers.ask import Stripe, Unknown
from workers.deliver import INSIST_S, are_ids, failed
from workers.report import Report, Span
from workers.watch import RanTooLong, Watch

LANES = 2
# Threads of one process that may wait for Stripe at a time: the others belong to the handlers.

ASK_LIMIT_S = 25.0
# For all that one look-up asks: at most three questions.

NOT_SIGNED = -1
# In the place of the secret that signed it: it was fetched, and Stripe's certificate vouches for it.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """What Stripe said about an event: another event to store, or how its object is now."""

    to_store: NewEvent | None = None
    now: Event | None = None


class LookUps:
    """Asks Stripe for one worker process."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        router: Router,
        stripe: Stripe,
        watch: Watch,
        report: Report,
        ring: Callable[[Mapping[str, list[int]]], None],
        ask_limit_s: float = ASK_LIMIT_S,
    ) -> None:
        """Take what is needed; `ring` is called after a commit that stored an event, with its deliveries by queue."""
        self._ledger = ledger
        self._router = router
        self._stripe = stripe
        self._watch = watch
        self._report = report
        self._ring = ring
        self._ask_limit_s = ask_limit_s
        self._room = Room()
        self._waiting: deque[int] = deque()
        self._lanes = threading.BoundedSemaphore(LANES)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin no further look-up: what waits is announced again by the sweeper."""
        self._stopping.set()

    def look_up(self, ids: object) -> None:
        """Look these up, or leave them to the threads that are at it already."""
        if not are_ids(ids):
            log.warning("message ignored", reason="it does not hold a list of delivery ids")
            return
        self._waiting.extend(ids)
        # Once more after the lane was given back: what came in between found it taken.
        while self._waiting and not self._stopping.is_set() and self._lanes.acquire(blocking=False):
            try:
                self._drain()
            except LedgerUnavailable as error:
                log.warning("look-ups left waiting", error=str(error), left_to="sweeper")
                return
            finally:
                self._lanes.release()

    def _drain(self) -> None:
        while not self._stopping.is_set():
            try:
                delivery_id = self._waiting.popleft()
            except IndexError:
                return
            self._look_up_one(delivery_id)

    def _look_up_one(self, delivery_id: int) -> None:
        token = secrets.token_hex(16)
        with self._watch.over(token, claims.beat):
            with self._ledger.write() as db:
                taken = claims.claim(db, [delivery_id], handlers=[look_up.look_up.name], token=token, now=time.time())
            if not taken:
                return
            with self._ledger.read() as db:
                [claimed] = claims.load(db, taken)
            self._answer(claimed, token)

    def _answer(self, claimed: Claimed, token: str) -> None:
        began_at = time.time()
        rung: Doorbells = {}
        try:
            with self._watch.limit(self._ask_limit_s):
                found = self._ask(claimed.event)
            outcome, rung = self._ledger.insist(lambda db: self._enter(db, claimed, found, token), for_s=INSIST_S)
        except RanTooLong:
            error = TimeoutError(f"no answer within {self._ask_limit_s:g} s")
            outcome = self._settle_failed(claimed.delivery, error, token)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever an answer does to its reader is this look-up's failure only
            outcome = self._settle_failed(claimed.delivery, error, token)
        self._report.delivery(claimed, outcome, Span(began_at, time.time()))
        if rung:
            self._ring(rung)

    def _ask(self, event: Event) -> Found:
        if not look_up.is_thin(event):
            path, expand = look_up.object_path(event), look_up.expanded(event)
            answer = self._stripe.get(path, account=event.account, expand=expand)
            return Found(now=look_up.told_now(event, answer.content, at=answer.at))
        whole = self._stripe.get(look_up.thin_path(event), context=event.account)
        twin = look_up.twin_path(whole.content)
        if twin is not None:
            try:
                answer = self._stripe.get(twin, context=event.account)
                return Found(to_store=self._twin(event, answer.body))
            except Unknown:  # Stripe keeps events for 30 days
                pass
        answer = self._stripe.get(look_up.related_path(event), context=event.account)
        return Found(to_store=self._made(event, answer.content, answer.at))

    def _twin(self, thin: Event, body: bytes) -> NewEvent:
        content = json.loads(body)
        if content.get("object") != "event" or not content.get("id") or not content.get("type"):
            raise GiveUp("what Stripe has as the twin is no event")
        return self._new_event(thin, body, dedupe_key=str(content["id"]), content=content)

    def _made(self, thin: Event, it: Mapping[str, Any], at: int) -> NewEvent:
        """Make an event of what Stripe says now, for an account that has thin events only."""
        content = {
            "id": thin.external_id,
            "object": "event",
            "type": thin.type.removeprefix(look_up.THIN),
            "created": at,
            "livemode": thin.livemode,
            "account": thin.account,
            "data": {"object": it},
        }
        return self._new_event(
            thin, json.dumps(content).encode(), dedupe_key=f"{thin.external_id}/fetched", content=content
        )

    def _new_event(self, thin: Event, body: bytes, *, dedupe_key: str, content: Mapping[str, Any]) -> NewEvent:
        type_ = str(content["type"])
        return NewEvent(
            source=thin.source,
            dedupe_key=dedupe_key,
            external_id=str(content["id"]),
            type=type_,
            account=thin.account,
            livemode=thin.livemode,
            received_at=time.time(),
            content_type=JSON,
            headers={"x-hookline-fetched-for": thin.external_id},
            body=body,
            body_sha256=hashlib.sha256(body).hexdigest(),
            secret_position=NOT_SIGNED,
            flaw=None,
            deliveries=self._router.deliveries(thin.source, type_),
            traceparent=thin.traceparent,
        )

    def _enter(self, db: Connection, claimed: Claimed, found: Found, token: str) -> tuple[Outcome, Doorbells]:
        outcome = Outcome(delivery=claimed.delivery, state=DeliveryState.DONE)
        rung: Doorbells = {}
        if claimed.delivery.id not in claims.still_held(db, token):
            return outcome, rung
        if found.to_store is not None:
            rung = append(db, [found.to_store], self._room).doorbells
        if found.now is not None:
            with savepoint(db):
                look_up.enter(Transaction(db), claimed.event, found.now)
        claims.settle(db, [outcome], token=token, now=time.time())
        return outcome, rung

    def _settle_failed(self, delivery: Taken, error: Exception, token: str) -> Outcome:
        outcome = failed(delivery, error, time.time())

        def settle(db: Connection) -> None:
            if delivery.id in claims.still_held(db, token):
                claims.settle(db, [outcome], token=token, now=time.time())

        self._ledger.insist(settle, for_s=INSIST_S)
        return outcome
