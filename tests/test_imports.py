"""Importing any module does nothing."""

import subprocess
import sys
from pathlib import Path

from config.database import make_engine
from config.settings import CHECKOUT, load_settings
from ledger.migrate import upgrade

FOLDERS = ("receivers", "handlers", "workers", "ledger", "config", "cli")

MODULES = sorted(
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
    for folder in FOLDERS
    for path in (CHECKOUT / folder).rglob("*.py")
    if path.name != "__main__.py" and "migrations" not in path.parts
)

WATCHED = """
import sys, threading, importlib
FORBIDDEN = {"socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.mkdir", "sqlite3.connect", "os.putenv"}
def watch(event, args):
    if event in FORBIDDEN or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")):
        if not (event == "open" and ".pyc" in str(args[0])):
            raise RuntimeError(f"{event} {args}")
LIBRARIES = "sqlalchemy fastapi dramatiq stripe slack_sdk alembic.command typer httpx rich.console"
for library in LIBRARIES.split():
    importlib.import_module(library)
threads = threading.active_count()
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert threading.active_count() == threads, f"{name} started a thread"
import dramatiq.broker
assert dramatiq.broker.global_broker is None, "somebody set the global broker"
"""

NOT_FOR_LOOKING = (
    "alembic asyncio dramatiq fastapi httpx opentelemetry pika prometheus_client psycopg redis rich slack_sdk "
    "sqlalchemy starlette statistics stripe structlog uvicorn config.brokers.url"
)

LOOKS = (
    "events list", "events get 1", "deliveries list", "requests list", "stats", "sources", "payments list",
    "payments get pi_none", "replays list", "replays get 1", "audit list", "tokens list",
)  # fmt: skip

LOOKING = f"""
import sys
from cli.main import main
for look in {LOOKS!r}:
    sys.argv = ["hookline", *look.split()]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None) or " get " in look, look
    needless = sorted(set({NOT_FOR_LOOKING!r}.split()) & set(sys.modules))
    assert not needless, f"{{look}} imported {{needless}}"
"""


def test_there_are_modules_to_import() -> None:
    assert {"receivers.app", "workers.main", "workers.sweep", "cli.main", "ledger.store"} <= set(MODULES)


def test_importing_every_module_with_an_empty_environment_does_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *MODULES],
        env={"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_only_looks_at_the_ledger_imports_nothing_that_serves_sends_or_migrates(tmp_path: Path) -> None:
    """Nor SQLAlchemy: so it starts in a third of the time, and answers within 0.3 s on a ledger of a million events."""
    environ = {"HOOKLINE_DATA_DIR": str(tmp_path)}
    engine = make_engine(load_settings(environ))
    upgrade(engine)
    done = subprocess.run(
        [sys.executable, "-c", LOOKING],
        env={"PYTHONPATH": str(CHECKOUT), **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_starts_the_service_imports_no_brokers_library_where_none_is_named() -> None:
    """Nothing else runs while it imports."""
    needless = "import cli.dev.command, sys; print(sorted({'redis', 'pika', 'dramatiq', 'fastapi'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", needless], cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "[]\n"
