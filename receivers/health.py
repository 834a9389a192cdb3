"""Is this process alive, and could it make an event durable right now?"""

import time
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ledger.errors import LedgerUnavailable
from ledger.writer import Writer
from receivers.answers import problem
from receivers.ending import Ending

FRESH_S = 5.0
PROBE_TIMEOUT_S = 2.0

log = structlog.get_logger()


class Health:
    """Answers load balancers and process managers."""

    def __init__(self, writer: Writer, ending: Ending) -> None:
        self._writer = writer
        self._ending = ending

    async def alive(self, _request: Request) -> Response:
        """Say that the process lives."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """Say whether a commit is possible: one succeeded just now, or one is tried. The broker does not matter.

        Who was told to end says no, so that balancers go elsewhere; it can still commit, and does.
        """
        if self._ending.begun:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE)
        if time.monotonic() - self._writer.committed_at > FRESH_S:
            try:
                await self._writer.probe(timeout_s=PROBE_TIMEOUT_S)
            except LedgerUnavailable as error:
                log.warning("not ready", reason=str(error))
                return problem(HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ready"})
