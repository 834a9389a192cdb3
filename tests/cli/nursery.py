"""Runs `hookline` a hundred times without starting Python a hundred times: a process that has imported it is forked.

Half a second of processor time is what the interpreter and the imports take, for every command of every test. What is
forked is a process of its own, with the arguments, the environment, the directory and the streams of a small program
that stands for it: that one passes signals on, and ends as it ends. Tests of the whole system start the command as
people do.

    python nursery.py serve SOCKET          the nursery: listens there
    python nursery.py hookline SOCKET …     `hookline …`
"""

import gc
import marshal
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

# Nothing that takes time may be imported up here: the small program is started for every command.

STREAMS = (0, 1, 2)

NEEDED = (
    "alembic.command cli.doctor.command cli.main httpx ledger.migrate psycopg rich.console "
    "sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.sqlite.pysqlite"
)
# What the commands import when they need it. Whether they do is seen where they are started as people start them.


def serve(path: str) -> None:
    """Fork for everyone who connects. Returns in a forked process, which is then to run the command."""
    for name in NEEDED.split():
        __import__(name)
    from cli.commands import PLACES  # noqa: PLC0415  # see above

    for place in PLACES.values():
        __import__(place.partition(":")[0])
    gc.freeze()  # what is never looked at again is never copied
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(100)
        os.rename(f"{path}.new", path)  # noqa: PTH104  # now it can be connected to
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who attend to a command are waited for by nobody
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _attend(connection)


def _attend(connection: socket.socket) -> None:
    """Fork once more, for the command; tell how it ended, or end it when nobody wants to know any more."""
    _, streams, _, _ = socket.recv_fds(connection, 1, len(STREAMS))
    with connection.makefile("rb") as asked:
        words, directory, environ = marshal.load(asked)  # noqa: S302  # from the small program below
    has_ended, lives = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(has_ended)
        _become(words, directory, environ, streams)
        return
    for descriptor in (lives, *streams):
        os.close(descriptor)
    connection.sendall(b"%d\n" % pid)
    ready, _, _ = select.select([connection.fileno(), has_ended], [], [])
    if has_ended not in ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if has_ended in ready:
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(words: Sequence[str], directory: str, environ: Mapping[str, str], streams: Sequence[int]) -> None:
    for stream, number in zip(streams, STREAMS, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["hookline", *words]
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)


def stand_for_hookline(path: str, words: Sequence[str]) -> int:
    """Have `hookline …` run with all that is this process's; give its exit status, negative for a signal."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"."], STREAMS)
        connection.sendall(marshal.dumps((list(words), os.getcwd(), dict(os.environ))))  # noqa: PTH109  # no pathlib
        with connection.makefile("rb") as answers:
            pid = int(answers.readline())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, _: os.kill(pid, number))
            return int(answers.readline())


def main() -> None:
    """Be one of the two programs."""
    role, path, *words = sys.argv[1:]
    if role == "hookline":
        status = stand_for_hookline(path, words)
        if status < 0:
            os.kill(os.getpid(), -status)
        sys.exit(status)
    serve(path)
    from cli.main import main as hookline  # noqa: PLC0415  # see above

    hookline()


if __name__ == "__main__":
    main()
