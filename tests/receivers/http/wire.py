"""HTTP as bytes on a socket, for what no well-behaved client would send."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.receivers.http.server import ANSWER_S, Server

Pairs = Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def connection(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_S) as opened:
        yield opened


def exchange(server: Server, sent: bytes) -> Answer:
    """Send bytes on a connection of their own and read one response."""
    with connection(server) as opened:
        send_all(opened, sent)
        return read_answer(opened)


def read_answer(opened: socket.socket) -> Answer:
    """Read one response and not a byte of the next."""
    lines = _read_head(opened).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    body = _read(opened, int(headers["content-length"]))
    return Answer(status=int(lines[0].split()[1]), headers=headers, body=body)


def _read_head(opened: socket.socket) -> bytes:
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += _read(opened, 1)
    return text.removesuffix(b"\r\n\r\n")


def _read(opened: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = opened.recv(size - len(read))
        if not piece:
            raise ConnectionResetError
        read += piece
    return read


def try_exchange(server: Server, sent: bytes) -> int | None:
    """Give the status, or None when the connection was closed without one."""
    try:
        return exchange(server, sent).status
    except OSError:
        return None


def send_all(opened: socket.socket, sent: bytes) -> None:
    """Send everything, or as much as is taken before the server hangs up."""
    try:
        opened.sendall(sent)
    except (BrokenPipeError, ConnectionResetError):
        return


def head(method: str, target: str, headers: Pairs, *, host: str | None = "localhost") -> bytes:
    """Write a request's first line and headers."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    if host is not None:
        lines.append(f"Host: {host}".encode())
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
