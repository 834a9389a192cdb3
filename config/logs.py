"""Structured logs: JSON in production, readable lines under `hookline dev`. Never a body, a signature or a secret."""

import json
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor, WrappedLogger

from config.rounds import Round

SECRETS = re.compile(
    r"\b(whsec_|xox[a-z]-|sk_live_|sk_test_|rk_live_|rk_test_|ghp_|github_pat_)[\w-]+|(?<=://)[^/@\s]+@"
)
# Also what stands before the @ of a URL: libraries quote those in their errors.

_MARKS = ("whsec_", "xox", "_live_", "_test_", "ghp_", "github_pat_", "@")
# One of these is in each text in which SECRETS finds something.

may_hold_secret = re.compile("|".join(_MARKS)).search
# Takes a tenth of the time.

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# With these a sender could write log lines of its own, or hide one.


def configure_logs(*, development: bool) -> None:
    """Send the logs of this process, of its libraries too, to standard output."""
    origin: list[Processor] = [structlog.stdlib.add_log_level, _clock_time] if development else [Origin()]
    shared: list[Processor] = [*origin, structlog.processors.format_exc_info]
    last: list[Processor] = [clean, _console()] if development else [render_line]
    # Not through the standard library's logging, which costs more than all the rest of a line.
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        ),
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    _quieten_libraries()


def _clock_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now().astimezone().strftime("%H:%M:%S")
    return event


class Origin:
    """Says of a line which process wrote it, how loud, and when. In one step: some lines are written all the time."""

    def __init__(self) -> None:
        self._instance = f"{socket.gethostname()}:{os.getpid()}"  # several do the same work on several hosts
        self._second = (0, "")  # Unix seconds, and the same as text: most lines share theirs with another

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Say it."""
        event.setdefault("instance", self._instance)
        event["level"] = "error" if method == "exception" else method
        event["timestamp"] = self._now()
        return event

    def _now(self) -> str:
        now = time.time()
        second, text = self._second
        if second != int(now):
            second, text = self._second = int(now), f"{datetime.fromtimestamp(int(now), UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{text}.{int((now - second) * 1e6):06d}Z"


class Lines:
    """Writes lines to standard output: an event loop's once a round, all others at once."""

    def __init__(self, *_args: object) -> None:
        self._file = sys.stdout
        self._lock = threading.RLock()  # a signal's handler may log while a line is being written
        write = Round(self.write).add
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = write

    def write(self, lines: Iterable[str]) -> None:
        """Write now.

        Never raises: a full disk behind it, or nobody who reads, is no reason to refuse an event.
        """
        with suppress(OSError, ValueError, RuntimeError), self._lock:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()


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


def render_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Make a line of JSON of it, without secrets and control characters."""
    event.pop("color_message", None)  # uvicorn says everything twice
    with suppress(ValueError):  # half a character
        line = to_json(event, fallback=repr)
        if line.isascii() and b"\\" not in line and b"\x7f" not in line:
            text = line.decode("ascii")
            if not may_hold_secret(text):
                return text
    return _ENCODE(clean(logger, method, event))


_ENCODE = json.JSONEncoder(default=repr, skipkeys=True).encode


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets and control characters out of every text that is logged."""
    event.pop("color_message", None)  # uvicorn says everything twice
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = CONTROL.sub("\N{REPLACEMENT CHARACTER}", SECRETS.sub("[redacted]", value))
    return event
