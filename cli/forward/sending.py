"""Posts one request to a target: to the address that was allowed, no redirect followed, bounded in time and size."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from cli.forward.target import Target

TIMEOUT_S = 30.0
# For all of an exchange, from the first packet to the last. A developer may be standing at a breakpoint, but not for
# ever; and a server that sends a byte now and then must not hold up what comes next.

MAX_ANSWER_BYTES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status and the beginning of a body, or why there is none."""

    status: int | None
    body: bytes
    took_s: float
    error: str | None = None
    connected: bool = True

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004  # that is what 2xx means


def post(target: Target, headers: Mapping[str, str], body: bytes, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Post once. What goes wrong is told in the answer."""
    began = time.monotonic()
    connection = _Connection(target, began + timeout_s)
    try:
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": target.authority, **headers, "content-length": str(len(body))}.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        response = connection.getresponse()
        start = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else str(error)
        return Answer(
            status=None,
            body=b"",
            took_s=time.monotonic() - began,
            error=reason or type(error).__name__,
            connected=connection.connected,
        )
    finally:
        connection.close()
    return Answer(status=response.status, body=start, took_s=time.monotonic() - began)


class _Connection(http.client.HTTPConnection):
    """Connects to the addresses that were looked up, whatever the name means by now, and is over by a deadline."""

    def __init__(self, target: Target, until: float) -> None:
        """Take the target, and when all has to be over (monotonic seconds)."""
        super().__init__(target.host, target.port)
        self._target = target
        self._until = until
        self.connected = False

    def connect(self) -> None:
        """Try each address in turn."""
        for position, address in enumerate(self._target.addresses, 1):
            try:
                plain = socket.create_connection((address, self.port), _left(self._until))
                break
            except OSError:
                if position == len(self._target.addresses):
                    raise
        self.connected = True
        self.sock = _Timed(self._encrypted(plain) if self._target.scheme == "https" else plain, self._until)

    def _encrypted(self, plain: socket.socket) -> ssl.SSLSocket:
        plain.settimeout(_left(self._until))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._target.host)


class _Timed:
    """As much of a socket as http.client uses. A socket's own time-out begins anew with each byte."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._until))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(_Reader(self._sock, self._until))

    def close(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open for as long as this is
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  # what io calls a WriteableBuffer
        self._sock.settimeout(_left(self._until))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _left(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
