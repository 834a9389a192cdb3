"""How new events travel to the process that writes them, and what became of them travels back.

Both ends are the same program under the same interpreter, so it can be the interpreter's own `marshal`: 2 µs an event.
"""

import marshal
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ledger.commits import Item, Outcome
from ledger.errors import LedgerUnavailable
from ledger.event import NewDelivery, NewEvent, Receipt

_SIZES = struct.Struct("=II")  # in bytes: an event without its body, and its body
_SIZE = struct.Struct("=I")  # in bytes: the outcomes of a batch

_BODY, _DELIVERIES = NewEvent._fields.index("body"), NewEvent._fields.index("deliveries")

_PLAIN = 2
# The version of marshal's format that looks for no object that is there twice.


def pack(item: Item) -> tuple[bytes, bytes]:
    """Give what is to be sent of an event, and its body, which is not copied.

    Raises:
        ValueError: it holds something that is no plain value.

    """
    if item is None:
        said, body = marshal.dumps(None, _PLAIN), b""
    else:
        fields: list[Any] = list(item)
        fields[_BODY] = None
        fields[_DELIVERIES] = tuple([(each.handler, each.queue) for each in item.deliveries])
        said, body = marshal.dumps(fields, _PLAIN), item.body
    return _SIZES.pack(len(said), len(body)) + said, body


def unpack(received: bytearray) -> list[Item]:
    """Take out of what was received the events that are complete."""
    items: list[Item] = []
    at = 0
    with memoryview(received) as view:
        while len(view) - at >= _SIZES.size:
            said_size, body_size = _SIZES.unpack_from(view, at)
            body_at = at + _SIZES.size + said_size
            if len(view) < body_at + body_size:
                break
            fields = marshal.loads(view[at + _SIZES.size : body_at])  # noqa: S302  # our own process wrote it
            at = body_at + body_size
            items.append(None if fields is None else _event(fields, bytes(view[body_at:at])))
    del received[:at]
    return items


def _event(fields: list[Any], body: bytes) -> NewEvent:
    fields[_BODY] = body
    fields[_DELIVERIES] = _deliveries(fields[_DELIVERIES])
    return NewEvent._make(fields)


@lru_cache(maxsize=256)
def _deliveries(said: tuple[tuple[str, str], ...]) -> tuple[NewDelivery, ...]:
    # There are as many as there are kinds of events that handlers want: each is made once.
    return tuple(NewDelivery(handler=handler, queue=queue) for handler, queue in said)


def pack_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Give what is to be sent of what became of a batch."""
    said = marshal.dumps([_plain(outcome) for outcome in outcomes], _PLAIN)
    return _SIZE.pack(len(said)) + said


def _plain(outcome: Outcome) -> int | str | None:
    if isinstance(outcome, Receipt):
        return -outcome.event_id if outcome.duplicate else outcome.event_id
    return None if outcome is None else str(outcome)


def unpack_outcomes(received: bytearray) -> list[Outcome]:
    """Take out of what was received the outcomes that are complete."""
    outcomes: list[Outcome] = []
    while len(received) >= _SIZE.size:
        end = _SIZE.size + _SIZE.unpack_from(received)[0]
        if len(received) < end:
            break
        said = marshal.loads(received[_SIZE.size : end])  # noqa: S302  # our own process wrote it
        outcomes += [_outcome(each) for each in said]
        del received[:end]
    return outcomes


def _outcome(said: int | str | None) -> Outcome:
    if isinstance(said, int):
        return Receipt(abs(said), duplicate=said < 0)
    return None if said is None else LedgerUnavailable(said)
