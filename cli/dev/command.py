"""`hookline dev` from its first check to its exit status."""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.dev.errors import MigrationFailed
from cli.dev.output import Output, wants_colour
from cli.dev.preflight import check_broker, check_database, check_port, lock_data_directory, make_data_directory
from cli.dev.procfile import RELEASE, read_procfile
from cli.dev.readiness import base_url
from cli.dev.secrets import ensure_dev_secrets
from cli.dev.supervisor import BACKEND, Plan, supervise
from cli.dev.valkey import prepare_valkey
from config.database import make_engine
from config.errors import ConfigError
from config.rules import rules_of
from config.seats import clear_seats, metrics_directory
from config.settings import CHECKOUT, Settings, load_secrets, load_settings
from handlers.errors import BrokenPlugin
from ledger.errors import LedgerUnavailable
from ledger.migrate import upgrade
from receivers.providers import load_providers

PARENT_VARIABLE = "HOOKLINE_DEV_PARENT"
# Set by the Makefile to make's pid: with make gone there is nobody left to press Ctrl-C for.

PRIVATE_UMASK = 0o077
# Ledger, secrets, logs: all that is made here holds somebody's payments.

WEB_FIRST_S = 3.0
# Worker and sweeper start when the web process is ready, at the latest after so long. Before that there is nothing for
# them to do; all at once, they would keep it from its first 2xx for as long as all of them import.

TRIAL = "hookline trigger stripe charge.dispute.created"
SHARED_WITH_TRIAL = ("HOST", "PORT", "HOOKLINE_DATA_DIR")


def run_dev(environ: Mapping[str, str]) -> int:
    """Run the whole service until Ctrl-C. Give the exit status; what is wrong is one sentence on standard error."""
    try:
        _run(environ)
    except (ConfigError, BrokenPlugin) as error:
        print(f"hookline: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before or after the time in which the supervisor listens for it
        return 0
    return 0


def _run(environ: Mapping[str, str]) -> None:
    started = time.monotonic()
    os.umask(PRIVATE_UMASK)
    settings = load_settings(environ)
    rules_of(settings)
    commands = read_procfile(CHECKOUT / "Procfile")
    make_data_directory(settings.hookline_data_dir)
    with lock_data_directory(settings.hookline_data_dir) as lock:
        check_port(settings.host, settings.port)
        check_broker(settings)
        check_database(settings)
        secrets = _prepare_secrets(settings, environ)
        _migrate(settings)
        clear_seats(metrics_directory(settings))
        backend = prepare_valkey(settings) if settings.embeds_valkey else None
        services = {name: command for name, command in commands.items() if name != RELEASE}
        plan = Plan(
            commands=services,
            backend=backend,
            backend_socket=settings.valkey_socket,
            environ=_environ_of_services(settings, environ, secrets),
            directory=CHECKOUT,
            web_url=base_url(settings.host, settings.port),
            web_first_s=WEB_FIRST_S,
            hint=_hint(environ),
            parent=int(environ[PARENT_VARIABLE]) if PARENT_VARIABLE in environ else None,
            keep_open=(lock,),
            started=started,
        )
        output = _make_output(environ, [BACKEND, *services])
        _show(secrets, settings, output)
        asyncio.run(supervise(plan, output))


def _prepare_secrets(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Check the secrets that are set, and give development secrets for those that are not."""
    variables = [provider.secret_variable for provider in load_providers()]
    load_secrets(environ, variables)
    return ensure_dev_secrets(settings.dev_secrets_path, variables, environ)


def _migrate(settings: Settings) -> None:
    """Do what the Procfile's release command does, without starting another Python for it."""
    engine = make_engine(settings)
    try:
        upgrade(engine)
    except LedgerUnavailable as error:
        raise MigrationFailed(f"the ledger's tables cannot be brought up to date: {error}") from None
    finally:
        engine.dispose()


def _environ_of_services(settings: Settings, environ: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the Procfile's processes: ours, and what was left to us to decide."""
    inherited: dict[str, str] = {name: value for name, value in environ.items() if name != PARENT_VARIABLE}
    decided = {
        "HOOKLINE_DEV": "1",
        "HOOKLINE_DATA_DIR": str(settings.hookline_data_dir),
        "HOST": settings.host,
        "PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}",
    }
    embedded = {"REDIS_URL": settings.resolved_redis_url} if settings.embeds_valkey else {}
    colour = {"FORCE_COLOR": "1"} if wants_colour(environ, terminal=sys.stdout.isatty()) else {}
    return {**inherited, **secrets, **decided, **embedded, **colour}


def _make_output(environ: Mapping[str, str], names: Iterable[str]) -> Output:
    # Unbuffered, so that nothing is left to flush at exit when its reader is gone, as in `make run | head`.
    stream = open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115  # it stays open to the end
    return Output(stream, names, colour=wants_colour(environ, terminal=sys.stdout.isatty()))


def _show(secrets: Mapping[str, str], settings: Settings, output: Output) -> None:
    if secrets:
        output.say(f"development secrets, kept in {_short(settings.dev_secrets_path)}:")
    for variable, secret in secrets.items():
        output.say(f"  {variable}={secret}")


def _hint(environ: Mapping[str, str]) -> str:
    """Give a command to try next, with the variables that another shell needs to find this service."""
    shared = [f"{name}={shlex.quote(environ[name])}" for name in SHARED_WITH_TRIAL if name in environ]
    return " ".join([*shared, f"{_short(Path(sys.executable).parent)}/{TRIAL}"])


def _short(path: Path) -> str:
    """Give a path as one would type it in this directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
