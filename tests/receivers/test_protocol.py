"""The answer in one piece is, byte for byte, what uvicorn would have written."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from receivers.ok import Ok
from receivers.protocol import BoundedProtocol

POST = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1\r\n\r\nx"
LAST = POST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
OLD = POST.replace(b"1.1", b"1.0")
PATIENT = POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn writes bytes
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def connection(answer: Callable[[], Response]) -> BoundedProtocol:
    """Make a connection to an app that answers everything alike."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await answer()(scope, receive, send)

    state = ServerState()
    state.default_headers = [(b"date", b"Mon, 23 Nov 2026 16:00:00 GMT")]
    return BoundedProtocol(Config(app, lifespan="off", log_config=None, proxy_headers=False), state, {})


async def answered(protocol: BoundedProtocol, came: bytes, *, gone: bool = False) -> Wire:
    """Let bytes come in at once, and give what went out."""
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(came)
    if gone:
        protocol.connection_lost(ConnectionResetError())
    while protocol.tasks:
        await asyncio.wait(protocol.tasks)
    return wire


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("came", "pieces"), [(POST, 1), (POST * 3, None), (LAST, 2), (OLD, 2), (PATIENT, 2), (POST + LAST, None)]
)
async def test_an_answer_in_one_piece_is_the_same_answer(came: bytes, pieces: int | None) -> None:
    ours = await answered(connection(lambda: Ok(b'{"status":"accepted"}')), came)
    theirs = await answered(connection(lambda: JSONResponse({"status": "accepted"})), came)
    assert (b"".join(ours.written), ours.closed) == (b"".join(theirs.written), theirs.closed)
    assert pieces in {None, len(ours.written)}


@pytest.mark.anyio
async def test_who_has_gone_is_not_answered() -> None:
    assert not (await answered(connection(lambda: Ok(b"{}")), POST, gone=True)).written


@pytest.mark.anyio
async def test_a_connection_that_has_ended_leaves_no_garbage_to_look_for() -> None:
    protocol = connection(lambda: Ok(b"{}"))
    await answered(protocol, POST)
    await asyncio.sleep(0)
    left = weakref.ref(protocol)
    gc.disable()
    try:
        protocol.connection_lost(None)
        del protocol
        assert left() is None
    finally:
        gc.enable()
