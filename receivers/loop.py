"""uvloop, with servers that close without cutting anybody off.

What the kernel has accepted for a listening socket, and its process has not yet, is reset when the socket closes. The
sender has connected by then and sent its request, so no balancer may try elsewhere. Here those connections are taken
first. The Procfile names this class (`--loop`).
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvloop

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Loop(uvloop.Loop):
    """uvloop's event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: set[asyncio.Task[Any]] = set()

    async def create_server(  # type: ignore[override]  # uvloop spells all arguments out
        self,
        protocol_factory: ProtocolFactory,
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> "_Server":
        """Listen."""
        server: Any = await super().create_server(protocol_factory, *args, **options)
        return _Server(server, lambda taken: self._serve(protocol_factory, taken))

    def _serve(self, protocol_factory: ProtocolFactory, connection: socket.socket) -> None:
        task = self.create_task(self.connect_accepted_socket(protocol_factory, connection))
        self._taken.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._taken.discard)


class _Server:
    """What uvicorn uses of a server; it takes what waits at its sockets when it closes."""

    def __init__(self, server: asyncio.Server, serve: Callable[[socket.socket], None]) -> None:
        self._server = server
        self._serve = serve

    @property
    def sockets(self) -> Sequence[Any]:
        return self._server.sockets

    def close(self) -> None:
        listeners = [socket.fromfd(each.fileno(), each.family, each.type) for each in self._server.sockets]
        self._server.close()
        # The copies are what still listens: hardly a connection can come between the last one taken and their end.
        for listener in listeners:
            with listener:
                for connection in _waiting(listener):
                    self._serve(connection)

    async def wait_closed(self) -> None:
        await self._server.wait_closed()


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    listener.settimeout(0)
    while True:
        try:
            connection, _ = listener.accept()
        except ConnectionAbortedError:  # it has gone already
            continue
        except OSError:  # there is no other
            return
        connection.settimeout(0)
        yield connection
