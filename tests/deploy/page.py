"""docs/operations.md, taken apart."""

import re
from dataclasses import dataclass

from config.settings import CHECKOUT

TEXT = (CHECKOUT / "docs" / "operations.md").read_text()

CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A row of the table of variables."""

    name: str
    default: str


def variables() -> list[Variable]:
    """Give the rows of the table of variables."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", section("Environment"), re.MULTILINE)
    return [Variable(name, default.strip("`")) for name, default in rows]


def section(title: str) -> str:
    """Give what is under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def headings(level: int, text: str = TEXT) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", CODE.sub("", text), re.MULTILINE)


def anchors() -> set[str]:
    """Give what links can point to, as GitHub makes it of the headings."""
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings(2) + headings(3)}


def links() -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", TEXT)


def metrics() -> set[str]:
    """Give the metrics that the page names."""
    return set(re.findall(r"\bhookline_[a-z_]+", TEXT)) - {"hookline_restored"}


def commands() -> set[tuple[str, ...]]:
    """Give the `hookline` commands that the page names, each with its subcommand and options."""
    found = re.findall(
        r"(?:^|[`\s/])hookline ((?:[a-z]+ ?){1,2})((?: ?--?[a-z-]+| [A-Za-z0-9{}=._*]+)*)", CODE_AND_SPANS
    )
    return {(*words.split(), *re.findall(r"--[a-z-]+", rest)) for words, rest in found}


CODE_AND_SPANS = "\n".join(re.findall(r"`(hookline [^`]+)`", TEXT) + re.findall(r"^hookline .+$", TEXT, re.MULTILINE))
