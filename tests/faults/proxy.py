"""A TCP proxy that can be a bad network: it passes, refuses, stalls, loses answers, or trickles."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from random import Random

from tests.servers.ports import unused_port

PIECE_BYTES = 64 * 1024

TRICKLE_BYTES, TRICKLE_S = 256, 0.01

STALL_POLL_S = 0.02


class Way(StrEnum):
    """What the proxy does with what it gets."""

    PASS = "pass"
    REFUSE = "refuse"  # nobody listens, and what is open is reset
    STALL = "stall"  # connections are taken and stay open, and nothing goes through
    LOSE = "lose"  # the request goes through, and the answer does not: the connection is reset
    TRICKLE = "trickle"  # a few bytes at a time


class Proxy:
    """One port in front of another. It runs in a thread of its own."""

    def __init__(self, target: int, draw: Random) -> None:
        self.port = unused_port()
        self.lost = 0  # answers
        self._target = target
        self._draw = draw
        self._way = Way.PASS
        self._chance = 1.0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {target}")

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._call(self._listen())

    def close(self) -> None:
        """End, and reset what is open."""
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def going(self, way: Way, *, chance: float = 1.0) -> Iterator[None]:
        """Be so while the block runs; `chance` is how likely an answer is lost."""
        self._go(way, chance)
        try:
            yield
        finally:
            self._go(Way.PASS, 1.0)

    def _go(self, way: Way, chance: float) -> None:
        self._chance = chance
        self._way = way
        if way is Way.REFUSE:
            self._call(self._shut())
        elif self._server is None:
            self._call(self._listen())

    def _call(self, work: "asyncio.Future[None] | object") -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        target: asyncio.StreamWriter | None = None
        try:
            await self._let_through()
            answers, target = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(target)
            there = asyncio.create_task(self._pump(reader, target))
            back = asyncio.create_task(self._pump(answers, writer, answer=True))
            # Either side's end is the end of both: that is how a killed server looks from here.
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            writer.transport.abort()
        except asyncio.CancelledError:
            return
        finally:
            for each in (writer, target):
                if each is not None:
                    self._open.discard(each)
                    each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool = False) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._let_through()
            if answer and self._way is Way.LOSE and self._draw.random() < self._chance:
                self.lost += 1
                writer.transport.abort()
                return
            await self._write(writer, piece)

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        size = TRICKLE_BYTES if self._way is Way.TRICKLE else len(piece)
        for start in range(0, len(piece), size):
            writer.write(piece[start : start + size])
            await writer.drain()
            if size < len(piece):
                await asyncio.sleep(TRICKLE_S)

    async def _let_through(self) -> None:
        while self._way is Way.STALL:  # noqa: ASYNC110  # another thread ends it
            await asyncio.sleep(STALL_POLL_S)
