"""Posts one request to a target: to the address that was allowed, no redirect followed, bounded in time and size."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cli.forward.target import Target

TIMEOUT_S = 30.0
# For each wait. A developer may be standing at a breakpoint, but not for ever.

MAX_ANSWER_BYTES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status and the beginning of a body, or why there is none."""

    status: int | None
    body: bytes
    took_s: float
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004  # that is what 2xx means


def post(target: Target, headers: Mapping[str, str], body: bytes, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Post once. What goes wrong is told in the answer."""
    began = time.monotonic()
    connection = _Connection(target, timeout_s)
    try:
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": target.authority, **headers, "content-length": str(len(body))}.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        response = connection.getresponse()
        start = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        return Answer(status=None, body=b"", took_s=time.monotonic() - began, error=reason)
    finally:
        connection.close()
    return Answer(status=response.status, body=start, took_s=time.monotonic() - began)


class _Connection(http.client.HTTPConnection):
    """Connects to the addresses that were looked up, whatever the name means by now."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self._target = target

    def connect(self) -> None:
        """Try each address in turn."""
        for position, address in enumerate(self._target.addresses, 1):
            try:
                plain = socket.create_connection((address, self.port), self.timeout)
                break
            except OSError:
                if position == len(self._target.addresses):
                    raise
        self.sock = self._encrypted(plain) if self._target.scheme == "https" else plain

    def _encrypted(self, plain: socket.socket) -> ssl.SSLSocket:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._target.host)
