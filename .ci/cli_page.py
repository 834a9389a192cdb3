"""docs/cli.md: what is between its markers is made from the help texts and from the sessions that the tests replay.

`make` writes it anew, `check` says whether it is in step.
"""

# ruff: noqa: INP001, T201  # a script, and it prints

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cli.md"
SESSIONS = ROOT / "tests" / "cli" / "sessions"

MADE = re.compile(r"<!-- (session|commands)(?: (\S+))? -->\n.*?<!-- end -->", re.DOTALL)

EXAMPLES = "Examples:\n"


def make() -> str:
    """Give the page as it should be."""
    return MADE.sub(_made, PAGE.read_text(encoding="utf-8"))


def _made(marker: re.Match[str]) -> str:
    kind, name = marker[1], marker[2]
    if kind == "session":
        text = f"```console\n{(SESSIONS / f'{name}.txt').read_text(encoding='utf-8')}```"
    else:
        text = "\n\n".join(_section(words, command) for words, command in _commands("hookline", _root()))
    return f"<!-- {kind}{f' {name}' if name else ''} -->\n{text}\n<!-- end -->"


def _root() -> Any:  # noqa: ANN401  # Typer's own
    return typer.main.get_command(app)


def _commands(words: str, group: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Give every command with the words that it is called by, in the order of the help."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(f"{words} {name}", command)
        else:
            yield f"{words} {name}", command


def _section(words: str, command: Any) -> str:  # noqa: ANN401
    about, _, examples = (command.help or "").partition(EXAMPLES)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and "--help" not in each.opts]
    usage = " ".join([words, *(_argument(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"### {words}", _prose(about), f"`{usage}`"]
    if examples:
        lines = "\n".join(f"$ {line}" for line in _lines(examples))
        parts.append(f"```console\n{lines}\n```")
    if rows := [*(_row(_argument(each), each) for each in arguments), *(_row(_option(each), each) for each in options)]:
        parts.append("\n".join(["| | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _prose(text: str) -> str:
    """Let Markdown break the lines; what is indented stays as it is."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _lines(examples: str) -> list[str]:
    """Give one example a line, also where the help wraps one with a backslash."""
    joined = re.sub(r"\\\n\s*", "", examples)
    return [line.strip() for line in joined.splitlines() if line.strip()]


def _argument(each: Any) -> str:  # noqa: ANN401
    name = each.metavar or each.name.upper()
    name = f"{name}…" if each.nargs == -1 else name
    return name if each.required else f"[{name}]"


def _option(each: Any) -> str:  # noqa: ANN401
    names = ", ".join(each.opts)
    return names if each.is_flag else f"{names} {each.metavar or 'VALUE'}"


def _row(name: str, each: Any) -> str:  # noqa: ANN401
    about = re.sub(r"([|*<])", r"\\\1", " ".join((each.help or "").split()))
    return f"| `{name}` | {about} |"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make"]:
            PAGE.write_text(make(), encoding="utf-8")
        case ["check"]:
            if make() != PAGE.read_text(encoding="utf-8"):
                sys.exit(f"{PAGE.relative_to(ROOT)} is not what the help texts say by now. Run `make docs`")
            print("docs/cli.md is in step with the help texts")
        case _:
            sys.exit(f"usage: {sys.argv[0]} make | check")
