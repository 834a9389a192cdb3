"""The Procfile: what is run, and what a line of it has to look like."""

from pathlib import Path

import pytest

from cli.dev.errors import ProcfileUnusable
from cli.dev.procfile import parse_procfile, read_procfile
from config.settings import CHECKOUT


def test_commands_are_read_by_name_in_the_order_of_the_file() -> None:
    text = "web: uvicorn app --port ${PORT:-8000}\n\nworker:  dramatiq workers\n"

    assert list(parse_procfile(text).items()) == [
        ("web", "uvicorn app --port ${PORT:-8000}"),
        ("worker", "dramatiq workers"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("web: a\nworker dramatiq", "line 2 of the Procfile is not `name: command`"),
        ("web:", "line 1 of the Procfile is not `name: command`"),
        ("web: a\nweb: b", "line 2 of the Procfile names web a second time"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ProcfileUnusable, match=sentence):
        parse_procfile(text)


def test_a_missing_procfile_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProcfileUnusable, match="cannot be read"):
        read_procfile(tmp_path / "Procfile")


def test_our_own_procfile_has_the_four_processes() -> None:
    assert list(read_procfile(CHECKOUT / "Procfile")) == ["release", "web", "worker", "sweeper"]
