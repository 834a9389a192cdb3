"""Runs a program a hundred times without starting Python a hundred times: a process that has imported it is forked.

Half a second of processor time is what the interpreter and the imports take for `hookline`, and more than a second for
the web process. What is forked is a process of its own, with the arguments, the environment, the directory and the
streams of whoever asks, or of a small program that stands for it: that one passes signals on, and ends as it ends.
Tests of how the programs start, and some of the whole system, start them as people do.

    python nursery.py serve SOCKET              the nursery: listens there
    python nursery.py run SOCKET hookline …     `hookline …`
    python nursery.py run SOCKET uvicorn …      `uvicorn …`, the web process; and so the lines of the Procfile
"""

import atexit
import gc
import marshal
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence

# Nothing that takes time may be imported up here: the small program is started for every command.

STREAMS = (0, 1, 2)

PASSED_ON = (signal.SIGINT, signal.SIGTERM)

Asked = tuple[list[str], str, dict[str, str]]
# What is to run: its words, its directory and its environment.

PACKAGES = ("cli", "config", "handlers", "ledger", "receivers", "workers")

NEEDED = (
    "alembic.command babel.dates httpx markdown_it psycopg rich.console rich.markdown rich.table slack_sdk "
    "sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.sqlite.pysqlite uvicorn.lifespan.on uvicorn.main uvloop"
)
# What the programs import when they need it. Whether they do is seen where they are started as people start them.


def serve(path: str) -> None:
    """Fork for everyone who connects. Returns in a forked process, which is then to run the command."""
    for name in (*NEEDED.split(), *_own_modules()):
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
    _attend(connection)


def _own_modules() -> list[str]:
    from config.settings import CHECKOUT  # noqa: PLC0415  # see above

    files = [path.relative_to(CHECKOUT) for each in PACKAGES for path in sorted((CHECKOUT / each).rglob("*.py"))]
    return [
        ".".join(file.with_suffix("").parts)
        for file in files
        if file.name not in ("__init__.py", "__main__.py") and "migrations" not in file.parts
    ]


def _attend(connection: socket.socket) -> None:
    """Fork once more, for the command; tell how it ended, or end it when nobody wants to know any more."""
    _, streams, _, _ = socket.recv_fds(connection, 1, len(STREAMS))
    with connection.makefile("rb") as sent:
        asked: Asked = marshal.load(sent)  # noqa: S302  # from `order` below
    ends, its_end = socket.socketpair()
    its_end.settimeout(0)  # as the interpreter wants it of what it writes signals to
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(its_end.fileno())  # not a pipe's end that the command holds: what it forks would hold it, too
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for each in (ends, its_end, connection):
            each.close()
        _become(asked, streams)
        return
    for descriptor in streams:
        os.close(descriptor)
    connection.sendall(b"%d\n" % pid)
    ready, _, _ = select.select([connection, ends], [], [])
    if ends not in ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if ends in ready:
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: Asked, streams: Sequence[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for stream, number in zip(streams, STREAMS, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    words, directory, environ = asked
    os.chdir(directory)
    if os.path.exists("Procfile"):  # noqa: PTH110  # no pathlib
        _take_the_checkout(directory)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = words
    at_once = 1 if "PYTHONUNBUFFERED" in environ else -1
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=at_once), os.fdopen(2, "w", buffering=1)


def _take_the_checkout(directory: str) -> None:
    """Import what is ours from there: a copy has handlers and migrations of its own."""
    from config.settings import CHECKOUT  # noqa: PLC0415  # see above

    if not CHECKOUT.samefile(directory):
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
        sys.path.insert(0, directory)


def order(connection: socket.socket, path: str | os.PathLike[str], asked: Asked, streams: Sequence[int]) -> None:
    """Have a program run on these streams. What is answered is a line with its pid, and one with how it ended."""
    connection.connect(os.fspath(path))
    socket.send_fds(connection, [b"."], streams)
    connection.sendall(marshal.dumps(asked))


def how_it_ended(connection: socket.socket) -> int:
    """Wait for the end of what was ordered; give its exit status, negative for a signal."""
    with connection.makefile("rb") as answers:
        return int(answers.readlines()[-1])


def stand_for(path: str, words: Sequence[str]) -> int:
    """Have a program run with all that is this process's; give its exit status, negative for a signal."""
    with socket.socket(socket.AF_UNIX) as connection:
        order(connection, path, (list(words), os.getcwd(), dict(os.environ)), STREAMS)  # noqa: PTH109  # no pathlib
        with connection.makefile("rb") as answers:
            pid = int(answers.readline())
            for number in PASSED_ON:
                signal.signal(number, lambda number, _: os.kill(pid, number))
            return int(answers.readline())


def main() -> None:
    """Be the nursery, and then what was forked from it; or the small program."""
    role, path, *words = sys.argv[1:]
    if role == "run":
        status = stand_for(path, words)
        if status < 0:
            for number in PASSED_ON:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        sys.exit(status)
    serve(path)
    from dramatiq.cli import main as dramatiq  # noqa: PLC0415  # see above
    from uvicorn.main import main as uvicorn  # noqa: PLC0415  # ditto

    from cli.main import main as hookline  # noqa: PLC0415  # ditto
    from workers.sweep import main as sweep  # noqa: PLC0415  # ditto

    programs: dict[str, Callable[[], object]] = {
        "hookline": hookline,
        "uvicorn": uvicorn,
        "dramatiq": lambda: sys.exit(dramatiq()),  # type: ignore[no-untyped-call]  # it has no types
        "python": sweep,  # the only module that is started so
    }
    try:
        programs[sys.argv[0]]()
    except SystemExit as ended:
        _leave(ended.code)


def _leave(status: object) -> None:
    """End as the interpreter does, but let the kernel have the memory: half a command's time is taking it to pieces."""
    if not isinstance(status, int | None):  # what is to be printed
        sys.exit(status)  # type: ignore[arg-type]  # anything may be
    import threading  # noqa: PLC0415  # see above

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001  # there is no other name for it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    main()
