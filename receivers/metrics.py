"""`GET /metrics`: what all processes of this host have counted, and the state of the ledger, as Prometheus reads it."""

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from config.metrics import Metrics
from config.settings import Settings
from ledger.gauges import Gauges

if TYPE_CHECKING:
    from dramatiq import Broker


class MetricsPage:
    """Writes the page in a thread, one at a time: whoever asks meanwhile gets the same one."""

    def __init__(self, metrics: Metrics, gauges: Gauges) -> None:
        self._registry = metrics.registry(gauges)
        self._writing: asyncio.Future[bytes] | None = None

    async def show(self, _request: Request) -> Response:
        """Show what is counted and how things stand, for Prometheus."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(asyncio.to_thread(generate_latest, self._registry))
        page = await asyncio.shield(self._writing)  # who hangs up cancels nobody else's
        return Response(page, media_type=CONTENT_TYPE_PLAIN_0_0_4)


class BrokerProbe:
    """Says whether the broker takes messages.

    This process does not need it for anything else, and to import it takes a third of the time until it is ready: so it
    is made when somebody asks.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker: Broker | None = None

    def __call__(self) -> bool:
        """Ask it."""
        from config.broker import is_reachable, make_broker  # noqa: PLC0415  # see above

        self._broker = self._broker or make_broker(self._settings)
        return is_reachable(self._broker)
