"""Takes in events as the web process does, as fast as it goes: `python -m bench.ingest`, until its input ends.

Each line that it prints is one event: when it was on disk (Unix seconds), and after how many seconds.
"""

import asyncio
import itertools
import os
import sys
import time
from functools import partial

from config.metrics import uncounted
from ledger.errors import LedgerUnavailable
from ledger.event import NewDelivery, NewEvent
from ledger.writer import Writer, hire_process

SENDERS = 32
ANSWER_WITHIN_S = 2.0

numbers = itertools.count(1)


async def main() -> None:
    """Write until nobody wants more."""
    writer = Writer(partial(hire_process, os.environ), metrics=uncounted())
    await writer.start()
    ending = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ending.set)
    await asyncio.gather(*(_send(writer, ending) for _ in range(SENDERS)))
    await writer.stop()


async def _send(writer: Writer, ending: asyncio.Event) -> None:
    while not ending.is_set():
        began = time.monotonic()
        try:
            await writer.append(_event(), timeout_s=ANSWER_WITHIN_S)
            took = f"{time.monotonic() - began:.6f}"
        except LedgerUnavailable:
            took = "refused"
        sys.stdout.write(f"{time.time():.6f} {took}\n")


def _event() -> NewEvent:
    key = f"evt_new_{next(numbers)}_{os.getpid()}"
    return NewEvent(
        source="stripe",
        dedupe_key=key,
        external_id=key,
        type="charge.refunded",
        account=None,
        livemode=True,
        received_at=time.time(),
        content_type="application/json",
        headers={},
        body=b"x" * 2_048,
        body_sha256="0" * 64,
        secret_position=0,
        flaw=None,
        deliveries=(NewDelivery(handler="payments.refund", queue="payments"),),
    )


if __name__ == "__main__":
    asyncio.run(main())
