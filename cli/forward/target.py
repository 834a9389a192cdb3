"""Where events may be forwarded to: this machine, unless it is said otherwise."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.errors import NotDone

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address that was looked up once: a name that later means another machine changes nothing.

    Attributes:
        url: as it was given.
        scheme: `http` or `https`.
        host: the name, as it goes into the Host header and TLS.
        authority: the name with its port, if the URL has one.
        addresses: what the name means; all of them are allowed.
        port: to connect to.
        path: with its query.

    """

    url: str
    scheme: str
    host: str
    authority: str
    addresses: tuple[str, ...]
    port: int
    path: str


def resolve(url: str, *, allow_remote: bool) -> Target:
    """Look a URL up.

    Raises:
        NotDone: it is no HTTP address, is not known, or is another machine without `allow_remote`.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotDone(f"{url!r} is not an address: {error}") from None
    if parts.scheme not in PORTS or not host or parts.username or not url.isascii() or not url.isprintable():
        raise NotDone(f"{url!r} is not an address such as http://localhost:3000/webhooks/stripe")
    port = port or PORTS[parts.scheme]
    addresses = _look_up(host, port)
    outside = [each for each in addresses if not _is_loopback(each)]
    if outside and not allow_remote:
        raise NotDone(
            f"{host} is another machine ({outside[0]}): payloads of customers would leave this one. "
            "--allow-remote sends them all the same"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(
        url=url, scheme=parts.scheme, host=host, authority=parts.netloc, addresses=addresses, port=port, path=path
    )


def _look_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDone(f"{host} is not known: {error}") from None
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _is_loopback(address: str) -> bool:
    """Also of an IPv4 address in IPv6's clothes."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
