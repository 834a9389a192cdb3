"""`hookline forward`: sends stored events to a server on this machine, signed anew, and shows what it answers."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import Gone, NotDone
from cli.forward.resigning import Stored, headers_for, read_headers
from cli.forward.target import Target, resolve
from cli.hands import open_hands
from cli.options import Json
from cli.preview import count
from cli.show import clean, print_json, write

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cli.forward.sending import Answer

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

MAX_SHOWN_CHARS = 200

AllowRemote = Annotated[bool, typer.Option("--allow-remote", help="Send to another machine than this one, too.")]


def forward_events(
    events: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of events, ours or the provider's.")],
    to: Annotated[str, typer.Option(metavar="URL", help="Where to: http://localhost:3000/webhooks/stripe.")],
    secret: Annotated[str, typer.Option(metavar="SECRET", help="What the server there verifies with.")],
    allow_remote: AllowRemote = False,
    as_json: Json = False,
) -> None:
    """Send stored events to a server on this machine, and show what it answers.

    The body is the original, byte for byte; the signature is made anew, as the
    provider makes it, with the time of now and your secret, so that the vendor's
    own SDK takes it. Nothing changes in the ledger. No redirects are followed.
    If one of them is unknown or has no payload any more, nothing is sent. Exits 1
    if an answer is not a 2xx.

    Examples:
      hookline forward evt_1Qabc --to http://localhost:3000/webhooks/stripe --secret whsec_...
      hookline forward 41 42 43 --to http://localhost:3000/hooks --secret whsec_... --json
    """
    sending = Sending(to=to, secret=secret, allow_remote=allow_remote, trigger="forward")
    with open_hands(os.environ) as hands:
        from handlers.choice import Choice
        from ledger.views import Filter

        target = aim(sending)
        found, ids = hands.find_events(Choice(wanted=Filter(), names=tuple(events)))
        if found["payload_pruned"]:
            raise Gone(f"the payload of {count(found['payload_pruned'], 'event')} was pruned; nothing was sent")
        send_all(hands.load, ids, sending, target, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Where events are sent to, and how.

    Attributes:
        to: the URL.
        secret: what to sign with.
        allow_remote: also to another machine than this one.
        trigger: goes into Hookline-Trigger.
        rate: at most so many a second.

    """

    to: str
    secret: str
    trigger: str
    allow_remote: bool = False
    rate: float | None = None


def send_all(
    load: Callable[[int], Stored], events: Sequence[int], sending: Sending, target: Target, *, as_json: bool
) -> None:
    """Send these events (our ids) in this order, showing each answer. `load` is asked for one at a time.

    Raises:
        NotDone: an answer is no 2xx, or a payload was pruned.

    """
    failed = 0
    for event_id in events:
        began = time.monotonic()
        event = load(event_id)  # one at a time: bodies are large, and no transaction waits for an answer
        failed += not send(event, target, sending, as_json=as_json).ok
        if sending.rate is not None:
            time.sleep(max(0.0, 1 / sending.rate - (time.monotonic() - began)))
    if failed:
        raise NotDone(f"{failed} of {len(events)} {'was' if failed == 1 else 'were'} not answered with a 2xx")


def aim(sending: Sending) -> Target:
    """Look at where it goes to.

    Raises:
        NotDone: the address is not allowed, or there is no secret to sign with.

    """
    if not sending.secret.strip():
        raise NotDone("the secret to sign with is empty")
    return resolve(sending.to, allow_remote=sending.allow_remote)


def send(event: Stored, target: Target, sending: Sending, *, as_json: bool, quiet_if_nobody: bool = False) -> "Answer":
    """Send one event, and show the answer; say nothing if nobody listens there and `quiet_if_nobody`."""
    from cli.forward.sending import post

    headers = headers_for(event, sending.secret, now=time.time(), attempt=1, trigger=sending.trigger)
    answer = post(target, headers, event.body)
    if quiet_if_nobody and not answer.connected:
        return answer
    if as_json:
        print_json([_view(event, target, answer)])
    else:
        write(_line(event, answer))
    return answer


def load(db: "Connection", event_id: int) -> Stored:
    """Read what is sent of an event.

    Raises:
        Gone: it is not there any more, or its payload is not.

    """
    from sqlalchemy import select

    from ledger.tables import events
    from ledger.views import get_body

    row = db.execute(select(events).where(events.c.id == event_id)).first()
    body = get_body(db, event_id)
    if row is None or row.payload_pruned_at or body is None:
        raise Gone(f"the payload of event {event_id} was pruned: it cannot be sent")
    return Stored(
        id=row.id,
        source=row.source,
        external_id=row.external_id,
        type=row.type,
        content_type=row.content_type,
        headers=read_headers(row.headers),
        body=body,
    )


def _view(event: Stored, target: Target, answer: "Answer") -> dict[str, Any]:
    return {
        "event": event.id,
        "external_id": event.external_id,
        "type": event.type,
        "to": target.url,
        "http_status": answer.status,
        "took_s": round(answer.took_s, 3),
        "body": answer.body.decode(errors="replace"),
        "error": answer.error,
    }


def _line(event: Stored, answer: "Answer") -> str:
    said = answer.error or " ".join(answer.body.decode(errors="replace").split())[:MAX_SHOWN_CHARS]
    what = f"event {event.id} {event.type}: {answer.status or 'no answer'}"
    return f"{clean(what)} in {answer.took_s * 1000:.0f} ms{f'  {clean(said)}' if said else ''}\n"
