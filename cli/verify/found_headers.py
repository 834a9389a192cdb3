"""The headers that somebody captured, in whatever form, and what a proxy or a framework made of their names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cli.verify.scheme import SCHEMES

LINE = re.compile(r"""^(?:[<>*]\s)?\s*(?:-H\s+)?['"]?([A-Za-z0-9_-]+)\s*[:=]\s*(.*?)['"]?\s*,?$""")
# `Name: value`, as curl shows or takes it, or `HTTP_NAME=value`, as CGI and WSGI have it.

PREFIX = re.compile(r"^(http-|x-original-|x-forwarded-|original-|x-amzn-remapped-|x-)+")

Headers = Sequence[tuple[str, str]]


class NoHeaders(Exception):
    """There is not one header in what was given."""


@dataclass(frozen=True, slots=True)
class Found:
    """A header, under whatever name it came.

    Attributes:
        name: as it came.
        value: as it came.
        exact: whether it has the provider's own name, whatever the case.

    """

    name: str
    value: str
    exact: bool


def parse_headers(text: str) -> list[tuple[str, str]]:
    """Read headers: a JSON object, or a line each, with or without a request line before them.

    Raises:
        NoHeaders: there is none.

    """
    found = _parse_json(text) if text.lstrip().startswith("{") else _parse_lines(text)
    if not found:
        raise NoHeaders
    return found


def _parse_json(text: str) -> list[tuple[str, str]]:
    try:
        value = json.loads(text)
    except ValueError:
        raise NoHeaders from None
    return [
        (str(name), str(each)) for name, many in value.items() for each in (many if isinstance(many, list) else [many])
    ]


def _parse_lines(text: str) -> list[tuple[str, str]]:
    matches = [LINE.match(line) for line in text.splitlines()]
    return [(match[1], match[2]) for match in matches if match]


def find(headers: Headers, wanted: str) -> list[Found]:
    """Find a header by its own name, or else under names that programs make of it."""
    exact = [Found(name, value, exact=True) for name, value in headers if name.lower() == wanted.lower()]
    if exact:
        return exact
    alike = _core(wanted)
    return [Found(name, value, exact=False) for name, value in headers if _core(name) == alike]


def other_source(headers: Headers, source: str) -> str | None:
    """Say which other source these headers are from, if one."""
    others = (name for name in SCHEMES if name != source)
    return next((name for name in others if find(headers, SCHEMES[name].signature_header)), None)


def _core(name: str) -> str:
    return PREFIX.sub("", name.lower().replace("_", "-"))
