"""What Stripe must be asked, because an event does not say it: thin events, contradictions, fees.

The asking is done by `workers.look_up`, for handlers never call out. Here is what to ask for, and how an answer is
read. An event that Stripe was asked for is stored like any other: one that came by itself, too, is a duplicate of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field
from sqlalchemy import bindparam, select

from handlers.context import Context
from handlers.errors import GiveUp, RetryLater
from handlers.payments import book
from handlers.payments.keep import keep
from handlers.payments.kinds import KINDS, TYPES, kind_of
from handlers.payments.tables import history
from handlers.reading import Name, Reference, Shape, read, read_object
from handlers.router import handler
from ledger.event import JSON, Event
from ledger.look_ups import QUEUE
from ledger.store import Transaction

THIN = "v1."
# A thin event's type is that of its twin, with this before it.

PATH = re.compile(r"/v[12](/[A-Za-z0-9_.-]+)+(\?[A-Za-z0-9_.=&-]*)?")
# What comes behind Stripe's address must not change whom we ask, and with our key.

LOOKED_UP = "looked_up"

TWIN_WAIT_S = 600.0
# Without a key: for so long the twin of a thin event may come and tell what it means.

OWN_PATHS = {"payment_intent": "/v1/payment_intents/", "refund": "/v1/refunds/", "dispute": "/v1/disputes/"}

SETTLED = frozenset({"charge", "refund", "payout", "topup", "transfer"})
# Of these Stripe puts in the whole balance transaction if it is told to. Told so of anything else, it answers 400:
# "This property cannot be expanded" (stripe-python 16.1.0: where `balance_transaction` is an ExpandableField).

ASKED_AFTER_S = 60.0

THIN_TYPES = tuple(
    f"{THIN}{type_}"
    for type_ in (
        "payment_intent.*",
        "refund.*",
        "charge.refunded",
        "charge.refund.updated",
        "charge.dispute.*",
        *TYPES,
    )
)


@handler(source="stripe", types=THIN_TYPES, queue=QUEUE)
def look_up(event: Event, ctx: Context) -> None:
    """Do without asking: with a key, `workers.look_up` takes these deliveries, and nobody comes here.

    Raises:
        RetryLater: the twin that would tell the same may still come; or it is for those who can ask.
        GiveUp: it did not; Stripe must be asked.

    """
    if ctx.asks_stripe:  # a rehearsal, or a message that somebody made up
        raise RetryLater("Stripe is asked by the queue of look-ups", after_s=ASKED_AFTER_S)
    if is_thin(event) and _twin_told(event, ctx):
        return
    what = "it is thin, and tells only where the facts are" if is_thin(event) else "another event contradicts it"
    needs = f"Stripe must be asked about this event ({what}), which needs STRIPE_API_KEY: set it and run"
    if is_thin(event) and ctx.now < event.received_at + TWIN_WAIT_S:
        # A filter takes what is dead, and this is not yet.
        retry = f"`hookline retry {event.external_id}`"
        raise RetryLater(f"{needs} {retry}, unless its twin comes", after_s=TWIN_WAIT_S / 2)
    raise GiveUp(f"{needs} `hookline retry --handler {look_up.name}`")


def _twin_told(event: Event, ctx: Context) -> bool:
    """Say whether an event with the facts has told of the same already: same object, type and second."""
    thin = read(event, Thin)
    if thin.related_object is None or thin.created is None or event.livemode is None:
        return False
    at = int(thin.created.timestamp())
    twin = {
        "its_account": event.account or "",
        "its_livemode": event.livemode,
        "its_object": thin.related_object.id,
        "its_type": thin.type.removeprefix(THIN),
        "earliest": at - 1,  # one of the two may be rounded
        "latest": at + 1,
    }
    return ctx.db.execute(_TWIN, twin).first() is not None


_TWIN = select(history.c.event).where(
    history.c.account == bindparam("its_account"),
    history.c.livemode == bindparam("its_livemode"),
    history.c.object_id == bindparam("its_object"),
    history.c.type == bindparam("its_type"),
    history.c.created.between(bindparam("earliest"), bindparam("latest")),
)


class Related(Shape):
    """What a thin event is about."""

    id: Name
    type: Name
    url: str


class Thin(Shape):
    """A thin event, as it is sent and as it is fetched (stripe-python 16.1.0, `v2.core.Event`)."""

    id: Name
    type: Name
    created: Annotated[datetime, Field(strict=False)] | None = None
    context: Name | None = None
    related_object: Related | None = None
    snapshot_event: Reference | None = None


class _It(Shape):
    id: Name
    object: Name


def is_thin(event: Event) -> bool:
    """Say whether the facts have to be fetched."""
    return event.payload.get("object") == "v2.core.event"


def thin_path(event: Event) -> str:
    """Say where Stripe has all of a thin event, among it the id of its twin."""
    return f"/v2/core/events/{_quoted(read(event, Thin).id)}"


def twin_path(fetched: Mapping[str, Any]) -> str | None:
    """Say where Stripe has the twin with the facts; None where there is none."""
    twin = Thin.model_validate(fetched).snapshot_event
    return f"/v1/events/{_quoted(twin)}" if twin else None


def related_path(event: Event) -> str:
    """Say where Stripe has what a thin event is about.

    Raises:
        GiveUp: it is about nothing, or about something elsewhere.

    """
    related = read(event, Thin).related_object
    if related is None:
        raise GiveUp("the thin event names no object, and Stripe has no twin of it")
    if not PATH.fullmatch(related.url):
        raise GiveUp("the thin event's object is not at Stripe")
    return related.url


def object_path(event: Event) -> str:
    """Say where Stripe has the object that an event tells of.

    Raises:
        GiveUp: Stripe cannot be asked for this kind.

    """
    it = read_object(event, _It)
    kind = KINDS.get(it.object.rpartition(".")[2])
    start = OWN_PATHS.get(it.object) or (kind.path if kind else None)
    if start is None:
        raise GiveUp(f"Stripe cannot be asked for one {it.object}")
    return f"{start}{_quoted(it.id)}"


def expanded(event: Event) -> tuple[str, ...]:
    """Name what Stripe is to put in whole, where otherwise its id is."""
    it = read_object(event, _It)
    return ("balance_transaction",) if it.object in SETTLED else ()


def _quoted(name: str) -> str:
    return quote(name, safe="")


def told_now(event: Event, answer: Mapping[str, Any], *, at: int) -> Event:
    """Make of an object, as Stripe has it now, what an event of this moment would be (`at` in Unix seconds)."""
    told = {
        "id": f"{LOOKED_UP}_{event.external_id}"[:255],
        "object": "event",
        "type": LOOKED_UP,
        "created": at,
        "livemode": event.livemode,
        "data": {"object": answer},
    }
    return Event(
        id=event.id,
        source=event.source,
        external_id=str(told["id"]),
        type=LOOKED_UP,
        account=event.account,
        livemode=event.livemode,
        received_at=float(at),
        content_type=JSON,
        body=json.dumps(told).encode(),
    )


def told_of_itself(event: Event) -> Event:
    """Make of what Stripe says of itself what a snapshot event would be: it is about nothing but itself."""
    thin = read(event, Thin)
    at = int(thin.created.timestamp()) if thin.created else int(event.received_at)
    told = {"created": at, "data": {"object": {"id": thin.id, "created": at}}}
    return replace(event, body=json.dumps(told).encode(), content_type=JSON)


def enter(db: Transaction, event: Event, now: Event) -> None:
    """Enter into the book what Stripe says `now` of the object that `event` tells of."""
    about = read_object(event, _It).object
    if about == "payment_intent":
        book.enter_intent(db, now)
    elif about == "refund":
        book.enter_refund(db, now)
    elif about == "dispute":
        book.enter_dispute(db, now)
    elif kind := kind_of(event.type):
        keep(db, now, kind)
