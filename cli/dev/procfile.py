"""The Procfile: what is run, one `name: command` a line."""

import re
from pathlib import Path

from cli.dev.errors import ProcfileUnusable

LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")

RELEASE = "release"
# Run once before the others, by every platform that reads Procfiles.


def read_procfile(path: Path) -> dict[str, str]:
    """Give the commands by name, in the order of the file.

    Raises:
        ProcfileUnusable: it is missing or a line cannot be read; the text says which.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProcfileUnusable(f"{path} cannot be read ({error.strerror})") from None
    return parse_procfile(text)


def parse_procfile(text: str) -> dict[str, str]:
    """Read a Procfile's text; empty lines are passed over.

    Raises:
        ProcfileUnusable: a line is not `name: command`, or a name is there twice.

    """
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise ProcfileUnusable(f"line {number} of the Procfile is not `name: command`")
        if match["name"] in commands:
            raise ProcfileUnusable(f"line {number} of the Procfile names {match['name']} a second time")
        commands[match["name"]] = match["command"]
    return commands
