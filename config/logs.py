"""Structured logs: JSON in production, readable lines under `hookline dev`. Never a body, a signature or a secret."""

import logging
import os
import re
import socket
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SECRETS = re.compile(
    r"\b(whsec_|xox[a-z]-|sk_live_|sk_test_|rk_live_|rk_test_|ghp_|github_pat_)[\w-]+|(?<=://)[^/@\s]+@"
)
# Also what stands before the @ of a URL: libraries quote those in their errors.

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# With these a sender could write log lines of its own, or hide one.


def configure_logs(*, development: bool) -> None:
    """Send the logs of this process, of its libraries too, to standard output."""
    shared: list[Processor] = [
        *([] if development else [_Instance()]),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if development else "iso", utc=not development),
        structlog.processors.format_exc_info,
        clean,
    ]
    renderer = _console() if development else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        ),
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    _quieten_libraries()


class _Instance:
    """Says with each line which process wrote it, where several do the same work on several hosts."""

    def __init__(self) -> None:
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("instance", self._name)
        return event


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the other one prints local variables, bodies among them
        pad_event_to=20,
        sort_keys=False,
    )


def _quieten_libraries() -> None:
    # uvicorn comes with handlers of its own; ours is enough.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # Every attempt to connect is an error to pika, with a traceback. Who made it says what came of it.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    for name in ("httpx", "httpcore", "slack_sdk", "alembic", "stripe"):
        logging.getLogger(name).setLevel(logging.WARNING)


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets and control characters out of every text that is logged."""
    event.pop("color_message", None)  # uvicorn says everything twice
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = CONTROL.sub("\N{REPLACEMENT CHARACTER}", SECRETS.sub("[redacted]", value))
    return event
