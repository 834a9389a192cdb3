"""`GET /metrics`: what all processes of this host have counted, and the state of the ledger, as Prometheus reads it."""

import asyncio

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from config.metrics import Metrics
from ledger.gauges import Gauges


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
