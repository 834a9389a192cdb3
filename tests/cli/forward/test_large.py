"""Large events on their way to a developer."""

import time

from cli.forward.command import load
from ledger.pieces import write_body
from ledger.store import Ledger
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, store


@ON_SQLITE
def test_an_event_whose_body_is_kept_in_pieces_is_sent_whole(ledger: Ledger) -> None:
    body_id = write_body(ledger, b'{"id": 1}', until=time.monotonic() + 60)
    store(ledger, new_event(body=b"", body_id=body_id))
    with ledger.read() as db:
        assert load(db, 1).body == b'{"id": 1}'
