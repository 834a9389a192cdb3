"""One file a provider. Each ends in `PROVIDERS`, and is found by being here."""

import importlib
import pkgutil
from collections.abc import Iterator

from handlers.errors import BrokenPlugin
from receivers.provider import Provider


def load_providers() -> tuple[Provider, ...]:
    """Import every file in this folder and collect the providers in them.

    Raises:
        BrokenPlugin: names the file that cannot be used, or the path that two providers claim.

    """
    providers: dict[str, Provider] = {}
    for provider in _find():
        if provider.path in providers:
            raise BrokenPlugin(f"two providers want {provider.path}")
        providers[provider.path] = provider
    return tuple(providers.values())


def _find() -> Iterator[Provider]:
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        file = f"receivers/providers/{info.name}.py"
        try:
            module = importlib.import_module(f"{__name__}.{info.name}")
        except Exception as error:
            raise BrokenPlugin(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
        if not hasattr(module, "PROVIDERS"):
            raise BrokenPlugin(f"{file} does not end in PROVIDERS")
        yield from module.PROVIDERS
