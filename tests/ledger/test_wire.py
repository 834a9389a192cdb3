"""Between the web process and the one that writes for it nothing is lost, changed or mixed up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commits import Item, Outcome
from ledger.errors import LedgerUnavailable
from ledger.event import NewDelivery, NewEvent, Receipt
from ledger.wire import pack, pack_outcomes, unpack, unpack_outcomes
from tests.ledger.making import new_event

texts = st.text(st.characters(), max_size=20)  # halves of characters too
deliveries = st.builds(NewDelivery, handler=texts, queue=texts)
events = st.builds(
    NewEvent,
    source=texts,
    dedupe_key=texts,
    external_id=texts,
    type=texts,
    account=st.none() | texts,
    livemode=st.none() | st.booleans(),
    received_at=st.floats(allow_nan=False),
    content_type=texts,
    headers=st.dictionaries(texts, texts, max_size=3),
    body=st.binary(max_size=300),
    body_sha256=texts,
    secret_position=st.integers(-1, 5),
    flaw=st.none() | texts,
    deliveries=st.lists(deliveries, max_size=3).map(tuple),
    traceparent=st.none() | texts,
    body_id=st.none() | st.integers(1, 2**62),
)
receipts = st.builds(Receipt, st.integers(1, 2**62), duplicate=st.booleans())
outcomes = st.none() | receipts | texts.map(LedgerUnavailable)


def _in_parts(sent: bytes, lengths: list[int], unpack_some: Any) -> list[Any]:
    received, got = bytearray(), []
    for length in [*lengths, len(sent)]:
        received += sent[:length]
        sent = sent[length:]
        got += unpack_some(received)
    assert not received
    return got


@given(items=st.lists(st.none() | events, max_size=5), lengths=st.lists(st.integers(1, 400), max_size=8))
def test_events_arrive_whole_and_in_order_however_the_line_cuts_them(items: list[Item], lengths: list[int]) -> None:
    sent = b"".join(part for item in items for part in pack(item))
    assert _in_parts(sent, lengths, unpack) == items


@given(batches=st.lists(st.lists(outcomes, max_size=4), max_size=4), lengths=st.lists(st.integers(1, 40), max_size=8))
def test_outcomes_arrive_whole_and_in_order_however_the_line_cuts_them(
    batches: list[list[Outcome]], lengths: list[int]
) -> None:
    sent = b"".join(pack_outcomes(batch) for batch in batches)
    got = _in_parts(sent, lengths, unpack_outcomes)
    assert [_told(each) for each in got] == [_told(each) for batch in batches for each in batch]


def _told(outcome: Outcome) -> object:
    return str(outcome) if isinstance(outcome, LedgerUnavailable) else outcome


def test_what_is_no_plain_value_is_not_sent() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        pack(new_event(type=object()))
