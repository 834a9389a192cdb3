"""How an event with a large body gets into the ledger without keeping small ones waiting."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.pieces import forget_body, write_body
from ledger.store import Ledger
from ledger.tables import events
from ledger.writer import Writer

PATIENCE_S = 5.0
# For writing one body's pieces, and waiting for those before it. GitHub waits 10 s for its answer.

log = structlog.get_logger()


class LargeWriter:
    """Writes large bodies, one at a time, and hands their events to the writer."""

    def __init__(self, ledger: Ledger, writer: Writer) -> None:
        """Take what is needed."""
        self._ledger = ledger
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "pieces")  # starts it when there is something to do

    def stop(self) -> None:
        """Begin nothing more. Nobody waits any more for what is under way."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def append(self, event: NewEvent, *, timeout_s: float) -> Receipt:
        """Make an event durable, its body first. When this returns, all of it is on disk.

        Raises:
            LedgerUnavailable: it cannot be said that the event is on disk, as with `Writer.append`.

        """
        put = await self._put_aside(event)
        if isinstance(put, Receipt):
            return put
        receipt = await self._writer.append(event._replace(body=b"", body_id=put), timeout_s=timeout_s)
        if receipt.duplicate:  # somebody sent it at the same time
            with suppress(RuntimeError):  # stop(); the event is on disk all the same, and the sweeper forgets that body
                self._thread.submit(self._forget, put)
        return receipt

    async def _put_aside(self, event: NewEvent) -> Receipt | int:
        loop, until = asyncio.get_running_loop(), time.monotonic() + PATIENCE_S
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await loop.run_in_executor(self._thread, self._write, event, until)
        except TimeoutError:
            raise LedgerUnavailable(f"a large body was not on disk within {PATIENCE_S:g} s") from None
        except (asyncio.CancelledError, RuntimeError):  # uvicorn, at the end of its graceful shutdown, or stop()
            raise LedgerUnavailable("this process ends") from None
        except SQLAlchemyError as error:  # about the statement and not the ledger: no more is known of it
            log.exception("large body cannot be written")
            raise LedgerUnavailable(type(error).__name__) from error

    def _write(self, event: NewEvent, until: float) -> Receipt | int:
        """Write the body and give its id; or the receipt of an event that is known, with nothing written."""
        same = (events.c.source == event.source, events.c.dedupe_key == event.dedupe_key)
        with self._ledger.read() as db:
            known: int | None = db.execute(select(events.c.id).where(*same)).scalar()
        return (
            Receipt(known, duplicate=True) if known is not None else write_body(self._ledger, event.body, until=until)
        )

    def _forget(self, body_id: int) -> None:
        try:
            forget_body(self._ledger, body_id)
        except LedgerUnavailable as error:
            log.warning("large body left", error=str(error), left_to="sweeper")
