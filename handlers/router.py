"""Which handlers want which events. Finds the handlers in this folder; a broken or doubled one stops start-up."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from types import ModuleType

from handlers.context import Context
from handlers.errors import BrokenPlugin
from ledger.event import Event, NewDelivery
from ledger.look_ups import QUEUE as LOOK_UPS
from ledger.store import Transaction

QUEUES = ("payments", "notifications", LOOK_UPS, "default")

Run = Callable[[Event, Context], None]
Ahead = Callable[[Sequence[Event], Transaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A function, and the events it wants.

    Attributes:
        name: kept with every delivery; renaming a handler leaves the old name's unfinished deliveries waiting.
        source: `stripe`, `github`, `slack`.
        types: as the provider spells them; `*` stands for anything (`payment_intent.*`).
        queue: one of QUEUES.
        run: what it does.
        ahead: what may be read for many events at once, before `run` gets them one by one. It must be the same without.

    """

    name: str
    source: str
    types: tuple[str, ...]
    queue: str
    run: Run
    ahead: Ahead | None = None

    def wants(self, source: str, event_type: str) -> bool:
        """Say whether events of this source and type go to this handler."""
        return source == self.source and any(fnmatchcase(event_type, pattern) for pattern in self.types)


def handler(
    *, source: str, types: Iterable[str], queue: str = "default", ahead: Ahead | None = None
) -> Callable[[Run], Handler]:
    """Make a handler of a function. Its name is `<topic>.<function>`, after the folder or file it is in."""
    wanted = tuple(types)
    if queue not in QUEUES:
        message = f"queue {queue!r} is not one of {', '.join(QUEUES)}"
        raise ValueError(message)

    def make(run: Run) -> Handler:
        topic = run.__module__.split(".")[1]
        name = f"{topic}.{run.__name__}"
        return Handler(name=name, source=source, types=wanted, queue=queue, run=run, ahead=ahead)

    return make


class Router:
    """All handlers of one process."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        """Take the handlers.

        Raises:
            BrokenPlugin: two have one name.

        """
        self.by_name: dict[str, Handler] = {}
        for each in handlers:
            if each.name in self.by_name:
                message = f"two handlers are called {each.name}: {_where(self.by_name[each.name])} and {_where(each)}"
                raise BrokenPlugin(message)
            self.by_name[each.name] = each
        # Providers have a few hundred types; what a sender makes up beyond that must not grow the cache.
        self.deliveries = lru_cache(maxsize=2048)(self._deliveries)

    def matching(self, source: str, event_type: str) -> tuple[Handler, ...]:
        """Give the handlers that want events of this source and type."""
        return tuple(each for each in self.by_name.values() if each.wants(source, event_type))

    def _deliveries(self, source: str, event_type: str) -> tuple[NewDelivery, ...]:
        return tuple(NewDelivery(handler=each.name, queue=each.queue) for each in self.matching(source, event_type))


def load_router() -> Router:
    """Import every file under handlers/ and collect the handlers in them.

    Raises:
        BrokenPlugin: names the file that cannot be imported, or the two handlers of one name.

    """
    package = importlib.import_module("handlers")
    return Router(each for module in _modules(package) for each in _handlers_of(module))


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    # Not pkgutil.walk_packages: it swallows ImportErrors, and with them a team's alerts.
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name):
        name = f"{package.__name__}.{info.name}"
        try:
            module = importlib.import_module(name)
        except Exception as error:
            message = f"{name.replace('.', '/')} cannot be loaded: {type(error).__name__}: {error}"
            raise BrokenPlugin(message) from error
        yield module
        if info.ispkg:
            yield from _modules(module)


def _handlers_of(module: ModuleType) -> Iterator[Handler]:
    # A handler that a module imports from another one belongs to that other one.
    return (
        value
        for value in vars(module).values()
        if isinstance(value, Handler) and value.run.__module__ == module.__name__
    )


def _where(each: Handler) -> str:
    return each.run.__module__
