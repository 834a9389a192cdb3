"""The ways in which programs write one and the same JSON: spaces, indentation, escapes.

Works on tokens, so that the order of keys, duplicate keys and the spelling of numbers stay as they are.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)

SHAPES = (
    ("indented by two spaces", "  ", ",", ": "),
    ("without spaces", None, ",", ":"),
    ("with a space after commas and colons", None, ", ", ": "),
    ("indented by four spaces", "    ", ",", ": "),
    ("indented by tabs", "\t", ",", ": "),
)

ESCAPES = (
    ("", False, ""),
    (", in ASCII with \\u escapes", True, ""),
    (", with slashes escaped", False, "/"),
    (", in ASCII with \\u escapes and slashes escaped", True, "/"),
    (", with <, > and & escaped", False, "<>&"),
    (", in ASCII with \\u escapes and <, > and & escaped", True, "<>&"),
)


def layouts(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the JSON in other ways to write it, each with its name; nothing if it is no JSON object or list."""
    tokens = _tokens(body)
    if tokens is None:
        return
    written = [(name, [_write(token, in_ascii, escaped) for token in tokens]) for name, in_ascii, escaped in ESCAPES]
    for (shape, indent, comma, colon), (escape, words) in product(SHAPES, written):
        text = _lay_out(words, indent, comma, colon)
        for end, what in (("", ""), ("\n", ", with a newline at its end")):
            yield f"{shape}{escape}{what}", (text + end).encode(errors="replace")


def _tokens(body: bytes) -> list[str] | None:
    try:
        text = body.decode("utf-8-sig")
        if not isinstance(json.loads(text), dict | list):
            return None
    except (ValueError, RecursionError):
        return None
    return TOKEN.findall(text)


def _write(token: str, in_ascii: bool, escaped: str) -> str:  # noqa: FBT001  # a row of ESCAPES
    if not token.startswith('"'):
        return token
    text = json.dumps(json.loads(token, strict=False), ensure_ascii=in_ascii)
    for letter in escaped:
        text = text.replace(letter, "\\/" if letter == "/" else f"\\u{ord(letter):04x}")
    return text


def _lay_out(words: Sequence[str], indent: str | None, comma: str, colon: str) -> str:
    out: list[str] = []
    depth = 0
    for position, word in enumerate(words):
        after = words[position + 1] if position + 1 < len(words) else ""
        if word in "{[":
            depth += 1
            out.append(word if after in ("}", "]") else word + _line(indent, depth))
        elif word in "}]":
            depth -= 1
            out.append(word if words[position - 1] in ("{", "[") else _line(indent, depth) + word)
        elif word == ",":
            out.append(comma + _line(indent, depth))
        else:
            out.append(colon if word == ":" else word)
    return "".join(out)


def _line(indent: str | None, depth: int) -> str:
    return "" if indent is None else "\n" + indent * depth
