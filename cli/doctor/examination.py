"""Runs the checks. Those that ask others run at once, each in a thread: what hangs keeps nobody from an answer."""

import threading
import time
from collections.abc import Callable, Iterator

from cli.doctor.broker import check_broker
from cli.doctor.environment import check_plugins, check_rules, check_settings
from cli.doctor.finding import Finding, problem
from cli.doctor.installation import Installation
from cli.doctor.ledger import check_ledger
from cli.doctor.secrets import check_secrets
from cli.doctor.slack import check_slack
from cli.doctor.web import check_web

Check = Callable[[Installation], Iterator[Finding]]

AT_HOME: tuple[Check, ...] = (check_settings, check_rules, check_plugins, check_secrets)
# These ask nobody, and import all plug-ins before there are threads.

ABROAD: tuple[Check, ...] = (check_web, check_ledger, check_broker, check_slack)

LIMIT_S = 30.0
# For all of those together. Each has shorter limits of its own; this one is for what ignores them.


def examine(installation: Installation) -> Iterator[Finding]:
    """Give what is found, check by check."""
    for each in _examine(installation):
        fix = None if each.fix is None else installation.clean(each.fix)
        yield Finding(each.check, each.status, installation.clean(each.found), fix)


def _examine(installation: Installation) -> Iterator[Finding]:
    for check in AT_HOME:
        yield from _guarded(check, installation)
    begun = [_Run(check, installation) for check in ABROAD]
    deadline = time.monotonic() + LIMIT_S
    for run in begun:
        yield from run.findings(deadline)


def _guarded(check: Check, installation: Installation) -> Iterator[Finding]:
    try:
        yield from check(installation)
    except Exception as error:  # noqa: BLE001  # the others are worth more than a traceback of this one
        found = f"could not be checked: {type(error).__name__}: {' '.join(str(error).split())}"
        yield problem(_name(check), found, "mend what the other lines tell of first; else report this")


def _name(check: Check) -> str:
    return check.__name__.removeprefix("check_")


class _Run:
    """One check, under way."""

    def __init__(self, check: Check, installation: Installation) -> None:
        self._name = _name(check)
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, args=(check, installation), daemon=True)
        self._thread.start()

    def findings(self, deadline: float) -> list[Finding]:
        """Wait until it is done, or until there is no more time (monotonic seconds)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            return self._found
        fix = "something that this needs hangs: see what the lines before and after it say"
        return [*self._found, problem(self._name, f"not done within {LIMIT_S:.0f} s", fix)]

    def _run(self, check: Check, installation: Installation) -> None:
        for each in _guarded(check, installation):
            self._found.append(each)
