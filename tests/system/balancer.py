"""A TCP balancer in front of several web processes, as one stands in front of several hosts."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence

from tests.servers.ports import unused_port

CHECK_INTERVAL_S = 0.2
CHECK_S = 2.0
CHUNK_BYTES = 64 * 1024


class Balancer:
    """Passes each connection on to the next web process that can be connected to.

    It tries the next one only when connecting fails: what has been sent is never sent again. With `checks`, those
    whose /readyz says no are passed over, unless all do.
    """

    def __init__(self, ports: Sequence[int], *, checks: bool = True) -> None:
        self.port = unused_port()
        self._ports = tuple(ports)
        self._checks = checks
        self._turns = itertools.cycle(range(len(ports)))
        self._ready = set(ports)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), name="balancer")
        self._stopping = asyncio.Event()
        self._listening = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port, backlog=1000)
        checks = asyncio.create_task(self._check())
        self._listening.set()
        await self._stopping.wait()
        server.close()
        checks.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _check(self) -> None:
        while self._checks:
            for port in self._ports:
                (self._ready.add if await _is_ready(port) else self._ready.discard)(port)
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self._in_turn():
            try:
                its_reader, its_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            with contextlib.suppress(asyncio.CancelledError):  # at the end; a server would log it
                await asyncio.gather(_pass_on(reader, its_writer), _pass_on(its_reader, writer))
            return
        writer.close()

    def _in_turn(self) -> list[int]:
        first = next(self._turns)
        ports = [*self._ports[first:], *self._ports[:first]]
        return [port for port in ports if port in self._ready] or ports


async def _is_ready(port: int) -> bool:
    """Ask /readyz, by asyncio alone: httpx, when it is cancelled while it connects, warns of a coroutine of anyio's."""
    with contextlib.suppress(OSError):  # a time-out is one, too
        async with asyncio.timeout(CHECK_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
    return False


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and how it ends: in order, or by a reset."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()
