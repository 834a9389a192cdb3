"""What `hookline dev` prints."""

import os
from io import BytesIO

import pytest

from cli.dev.output import Output, wants_colour


def printed(*, colour: bool) -> tuple[Output, BytesIO]:
    stream = BytesIO()
    return Output(stream, ["web", "sweeper"], colour=colour), stream


def test_every_line_says_whose_it_is_in_one_column() -> None:
    output, stream = printed(colour=False)

    output.line("web", b"started")
    output.line("sweeper", b"started")
    output.say("hello")

    assert stream.getvalue().decode() == "web     │ started\nsweeper │ started\ndev     │ hello\n"


def test_without_colour_no_escape_sequence_is_added() -> None:
    output, stream = printed(colour=False)

    output.line("web", b"a")
    output.warn("b")
    output.announce("c")

    assert b"\x1b" not in stream.getvalue()


def test_each_process_has_a_colour_of_its_own() -> None:
    output, stream = printed(colour=True)

    output.line("web", b"")
    output.line("sweeper", b"")

    prefixes = {line[:5] for line in stream.getvalue().splitlines()}
    assert len(prefixes) == 2


def test_a_line_that_forgets_to_end_its_colour_does_not_colour_the_next() -> None:
    output, stream = printed(colour=True)

    output.line("web", b"\x1b[31mred")

    assert stream.getvalue().endswith(b"\x1b[0m\n")


def test_bytes_that_are_no_text_are_passed_on() -> None:
    output, stream = printed(colour=False)

    output.line("web", b"\xff\xfe")

    assert stream.getvalue().endswith(b"\xff\xfe\n")


@pytest.mark.parametrize(
    ("environ", "terminal", "wanted"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"NO_COLOR": ""}, True, True)],
)
def test_colour_is_for_terminals_without_no_color(environ: dict[str, str], terminal: bool, wanted: bool) -> None:  # noqa: FBT001  # a column of the table above
    assert wants_colour(environ, terminal=terminal) is wanted


def test_a_reader_that_went_away_is_reported_once() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    reports: list[str] = []
    with os.fdopen(write_end, "wb", buffering=0) as stream:
        output = Output(stream, [], colour=False)
        output.when_lost(lambda: reports.append("lost"))
        output.say("one")
        output.say("two")

    assert reports == ["lost"]
