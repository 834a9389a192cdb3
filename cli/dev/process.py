"""One run of one command: a session of its own, its output line by line, and how it ended."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.dev.guardian import Guardian, kill

LAUNCH = 'printf "+%s\\n" "$$" >&0 && exec </dev/null && eval "exec $0"'
# Standard input is the guardian's pipe until the new process has written its own group there, so that no moment is
# left in which a kill -9 of `hookline dev` would miss it. `exec` makes the command the leader that signals reach,
# also where /bin/sh would stay in between.

CHUNK_BYTES = 65_536
MAX_LINE_BYTES = 65_536
# A longer line is printed in pieces, so that a child that never ends its line cannot fill the memory.

DRAIN_S = 1.0
# What a dead group left in the pipe is there at once; only a process that left its group could keep it open.


@dataclass(frozen=True, slots=True)
class Process:
    """A running command: the leader of a process group of its own."""

    leader: asyncio.subprocess.Process
    output: asyncio.Task[None]
    guardian: Guardian

    @property
    def group(self) -> int:
        """The process group, and the leader's pid."""
        return self.leader.pid

    async def ended(self) -> int:
        """Wait for the leader, then end what it left behind. Give its exit status, or minus the signal's number."""
        status = await self.leader.wait()
        kill(self.group)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.output, DRAIN_S)
        with suppress(BrokenPipeError):  # the guardian is gone: the supervisor notices by itself
            self.guardian.forget(self.group)
        return status

    def terminate(self) -> None:
        """Ask it to end. Only the leader: Dramatiq's children drop their work when they are told twice."""
        with suppress(ProcessLookupError):
            self.leader.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once."""
        if self.leader.returncode is None:
            kill(self.group)


async def start_process(
    command: str,
    *,
    directory: Path,
    environ: Mapping[str, str],
    guardian: Guardian,
    print_line: Callable[[bytes], None],
) -> Process:
    """Run one simple shell command (it is `exec`ed), and print what it says on either stream."""
    read_end, write_end = os.pipe()
    output = asyncio.create_task(_print_lines(read_end, print_line))
    try:
        leader = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            LAUNCH,
            command,
            cwd=directory,
            env=environ,
            stdin=guardian.pipe,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    finally:
        os.close(write_end)
    return Process(leader, output, guardian)


def how_it_ended(status: int) -> str:
    """Say in words how a process ended, from its exit status or minus the signal's number."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


async def _print_lines(descriptor: int, print_line: Callable[[bytes], None]) -> None:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    rest = b""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            rest = _print_whole_lines(rest + chunk, print_line)
    finally:
        transport.close()
    if rest:
        print_line(rest)


def _print_whole_lines(text: bytes, print_line: Callable[[bytes], None]) -> bytes:
    """Print the whole lines of `text` and give what is left after them."""
    *lines, rest = text.split(b"\n")
    for line in lines:
        print_line(line.removesuffix(b"\r"))
    if len(rest) < MAX_LINE_BYTES:
        return rest
    print_line(rest)
    return b""
