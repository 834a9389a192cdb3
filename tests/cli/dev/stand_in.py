"""Runs the supervisor on commands given as JSON, in the current directory."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from cli.dev.errors import ProcessFailed
from cli.dev.output import Output
from cli.dev.supervisor import Plan, supervise

NOT_PARENT = "not-its-parent"
ANYBODY = "anybody"


def main(port: str, outlives: str, commands: dict[str, str]) -> None:
    backend = commands.pop("valkey", None)
    plan = Plan(
        commands=commands,
        backend=backend,
        backend_socket=Path("valkey.sock"),
        environ=os.environ,
        directory=Path.cwd(),
        web_url=f"http://127.0.0.1:{port}",
        web_first_s=float(os.environ.get("WEB_FIRST_S", "60")),
        hint="try this",
        parent=os.getppid() if outlives == NOT_PARENT else None,
        keep_open=(),
        started=time.monotonic(),
    )
    output = Output(open(1, "wb", buffering=0, closefd=False), commands, colour=False)  # noqa: SIM115  # as hookline dev
    try:
        asyncio.run(supervise(plan, output))
    except ProcessFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
