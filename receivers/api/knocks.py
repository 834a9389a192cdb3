"""How often somebody has come without a good token: who comes too often is asked to wait.

Counted in memory, in each process for itself, by the address that a request comes from.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

WINDOW_S = 60.0
MAX_KNOCKS = 30
# In such a time, from one address.

MAX_ADDRESSES = 10_000
# That are remembered. Who has more of them than that is not held back by counting.

IPV6_BITS = 64
# As much of an IPv6 address as tells one customer of a provider's from another.


class Knocks:
    """Counts the requests of each address that had no good token, in spans of a minute."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock that only goes forward, in seconds."""
        self._clock = clock
        self._spans: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when it began, and how many

    def note(self, address: str) -> None:
        """Count a request that is not known to have a good token."""
        began, count = self._span(address)
        self._spans[address] = began, count + 1
        if len(self._spans) > MAX_ADDRESSES:
            self._spans.popitem(last=False)

    def forgive(self, address: str) -> None:
        """Take one back: its token is good."""
        began, count = self._span(address)
        if count > 1:
            self._spans[address] = began, count - 1
        else:
            self._spans.pop(address, None)

    def wait_s(self, address: str) -> float:
        """Say for how many seconds an address is held back; 0: it is not."""
        began, count = self._span(address)
        return began + WINDOW_S - self._clock() if count >= MAX_KNOCKS else 0.0

    def _span(self, address: str) -> tuple[float, int]:
        now = self._clock()
        began, count = self._spans.get(address, (now, 0))
        return (began, count) if now < began + WINDOW_S else (now, 0)


def address_of(client: tuple[str, int] | None) -> str:
    """Say who counts as one: an IPv4 address, or the network of an IPv6 address; all on a socket in a file are one."""
    host = client[0] if client else ""
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, IPV6_BITS), strict=False))
