"""One HTTP POST over a connection of its own, and exactly what came of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

REFUSED, RESET, TIMEOUT = "refused", "reset", "timeout"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came: an HTTP status as text and a body, or one of REFUSED, RESET, TIMEOUT."""

    what: str
    body: bytes = b""


async def post(port: int, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Reply:
    """Post to loopback. Nothing listens: refused. The connection ends before the whole answer: reset."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(port, _request(path, headers, body))
    except TimeoutError:
        return Reply(TIMEOUT)
    except ConnectionRefusedError:
        return Reply(REFUSED)
    except (OSError, EOFError, ValueError):
        return Reply(RESET)


def _request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    own = {"host": "hookline", "content-length": str(len(body)), "connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _exchange(port: int, request: bytes) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        # Not drained first: who refuses a large body answers before it has all come, and closes.
        # Providers' clients read while they write.
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.lower().split("\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        return Reply(head.split(" ", 2)[1], await reader.readexactly(length))
    finally:
        writer.close()
