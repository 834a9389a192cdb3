"""A body as people read it: JSON indented, forms one field a line. `--raw` is for programs.

JSON is laid out as it was written, not parsed and written again: numbers, escapes and doubled keys stay as signed.
"""

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from urllib.parse import parse_qsl

from cli.show import ELLIPSIS, Line, Part, clean
from ledger.event import FORM

MAX_LINES = 80
MAX_LINE_CHARS = 400
# A screen or two. More is for whoever asks for it.

MAX_DEPTH = 200
# As deep as the ledger reads it.

STEP = "  "

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
OPENING, CLOSING = ("[", "{"), ("]", "}")
PUNCTUATION = (*OPENING, *CLOSING, ",", ":")

STRING, KEY, OTHER = "green", "cyan", "yellow"


def body_lines(content_type: str, body: bytes, *, full: bool) -> Iterator[Line]:
    """Lay a body out in lines; at most MAX_LINES of them, and a word on how to see the rest, unless `full`."""
    lines = _form(body) if content_type == FORM else _json_or_text(body)
    if full:
        yield from lines
        return
    for line in islice(lines, MAX_LINES):
        yield _cut(line)
    if next(lines, None) is not None:
        yield [Part(f"{ELLIPSIS} it goes on: --full shows all, --raw the exact bytes", "dim")]


def _cut(line: Line) -> Line:
    left = MAX_LINE_CHARS
    cut = []
    for part in line:
        cut.append(part if len(part.text) <= left else Part(part.text[: max(left - 1, 0)] + ELLIPSIS, part.style))
        left -= len(part.text)
        if left < 0:
            break
    return cut


def _form(body: bytes) -> Iterator[Line]:
    for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
        if value.startswith(OPENING):
            yield [Part(clean(name), KEY), Part(":")]
            yield from ([Part(STEP), *line] for line in _json_or_text(value.encode()))
        else:
            yield [Part(clean(name), KEY), Part(f": {clean(value)}")]


def _json_or_text(body: bytes) -> Iterator[Line]:
    text = body.decode(errors="replace")
    if text.lstrip().startswith(OPENING) and _is_whole(text):
        return _indented(text)
    return ([Part(clean(line))] for line in text.splitlines())


def _is_whole(text: str) -> bool:
    """Whether its brackets match: what cannot be laid out is shown as it is."""
    open_: list[str] = []
    for sign in (each[0] for each in TOKEN.finditer(text)):
        if sign in OPENING:
            open_.append(sign)
        elif sign in CLOSING and (not open_ or OPENING.index(open_.pop()) != CLOSING.index(sign)):
            return False
        if len(open_) > MAX_DEPTH:
            return False
    return not open_


def _indented(text: str) -> Iterator[Line]:
    depth = 0
    line: list[Part] = []
    for sign, following in pairwise(chain((each[0] for each in TOKEN.finditer(text)), [""])):
        if sign in CLOSING:
            depth -= 1
            if line and line[-1].text not in OPENING:
                yield line
                line = []
        line = line or [Part(STEP * depth)]
        line.append(_styled(sign, following))
        if sign == ":":
            line.append(Part(" "))
        depth += sign in OPENING
        if sign == "," or (sign in OPENING and following not in CLOSING):
            yield line
            line = []
    if line:
        yield line


def _styled(sign: str, following: str) -> Part:
    text = clean(sign)
    if sign.startswith('"'):
        return Part(text, KEY if following == ":" else STRING)
    return Part(text, "" if sign in PUNCTUATION else OTHER)
