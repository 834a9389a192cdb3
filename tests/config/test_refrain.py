"""The lines that every webhook has."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.logs import Lines, Origin, render_line
from config.refrain import Refrain
from tests.config.test_logs import TRICKY

Row = tuple[str, int]


@pytest.fixture
def _in_production() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(processors=[Origin(), render_line], logger_factory=Lines)
    yield
    structlog.configure(**before)


def said(rows: list[Row], *, plainly: bool) -> str:
    with redirect_stdout(io.StringIO()) as out:
        if plainly:
            for text, number in rows:
                structlog.get_logger().info("it came", source="here", text=text, number=number)
        else:
            refrain = Refrain("it came", {"text": str, "number": int}, source="here")
            refrain._log(rows)  # noqa: SLF001  # what a round of an event loop would have brought
    return out.getvalue()


def parsed(lines: str) -> list[dict[str, object]]:
    return [json.loads(line) | {"timestamp": None} for line in lines.splitlines()]


@pytest.mark.usefixtures("_in_production")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TRICKY | st.just('","a":"b'), st.integers()), min_size=1, max_size=3))
def test_a_round_of_lines_says_what_each_line_would_say_by_itself(rows: list[Row]) -> None:
    assert parsed(said(rows, plainly=False)) == parsed(said(rows, plainly=True))


@pytest.mark.usefixtures("_in_production")
@pytest.mark.parametrize("text", ["evt_1", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_lines_are_written_letter_by_letter_as_structlog_writes_them(text: str) -> None:
    line, plain = (said([(text, 7)], plainly=plainly).split('"timestamp"')[0] for plainly in (False, True))
    assert line == plain


def test_where_logs_are_not_lines_of_json_the_same_is_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        Refrain("it came", {"text": str, "number": int}, source="here").log(("a", 1))
    assert logs == [{"event": "it came", "source": "here", "text": "a", "number": 1, "log_level": "info"}]
