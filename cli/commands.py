"""The commands of `hookline`, each imported when it is asked for: a command waits for what it needs, and no other's.

All of them are asked for by `hookline --help`, by the shell's completion and by the manual.
"""

from collections.abc import Callable, Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

MARKUP: Final = "rich"
# How help texts are marked up, here and in the commands below.

PLACES = {
    "dev": "cli.dev:dev",
    "migrate": "cli.migrate:migrate",
    "doctor": "cli.doctor:doctor",
    "trigger": "cli.trigger:trigger",
    "stats": "cli.stats:stats",
    "sources": "cli.sources:sources",
    "retry": "cli.again:retry",
    "dismiss": "cli.again:dismiss",
    "replay": "cli.replay:replay",
    "resend": "cli.replay:replay",
    "redeliver": "cli.replay:replay",
    "prune": "cli.prune:prune",
    "verify": "cli.verify.command:verify",
    "forward": "cli.forward.command:forward_events",
    "listen": "cli.listen.command:listen",
    "events": "cli.events:events_app",
    "deliveries": "cli.deliveries:deliveries_app",
    "requests": "cli.requests:requests_app",
    "payments": "cli.payments:payments_app",
    "replays": "cli.replays:replays_app",
    "alerts": "cli.alerts:alerts_app",
    "tokens": "cli.tokens:tokens_app",
    "audit": "cli.audit:audit_app",
}
# Where each is, as module:name, in the order of the help.

HIDDEN = frozenset({"resend", "redeliver"})
# What Stripe and GitHub call a replay.


class Commands(MutableMapping[str, Any]):
    """The commands by name. To know their names is to import none of them."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = dict.fromkeys(PLACES)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # Typer's own, which it does not name in public
        if self._made[name] is None:
            self._made[name] = _make(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401  # ditto
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class LazyGroup(TyperGroup):
    """All of `hookline`, as Typer wants it."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  # Typer's own
        super().__init__(**settings)
        self.commands = Commands()

    def invoke(self, context: Any) -> Any:  # noqa: ANN401  # ditto
        """Run the command that was asked for, and say what is wrong with its options without Pydantic's mark."""
        try:
            return super().invoke(context)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


def _make(name: str) -> Any:  # noqa: ANN401  # ditto
    module, _, attribute = PLACES[name].partition(":")
    found: typer.Typer | Callable[..., None] = getattr(import_module(module), attribute)
    around = typer.Typer(rich_markup_mode=MARKUP)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name, hidden=name in HIDDEN)(found)
    return get_group(around).commands[name]
