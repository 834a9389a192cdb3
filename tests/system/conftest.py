"""The real thing, for every test of this folder: processes, a workspace to alert, a provider that sends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from config.settings import CHECKOUT
from tests.system.sender import Sender
from tests.system.service import Service, copy_checkout
from tests.system.slack_stand_in import SlackStandIn

MakeService = Callable[..., Service]


@dataclass(frozen=True)
class House:
    """Everything, running. For tests that break none of our processes: they share it, and know their own events."""

    service: Service
    sender: Sender
    slack: SlackStandIn


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[House]:
    """One house for the tests of a file."""
    yield from run_house(tmp_path_factory.mktemp("house"), nursery=nursery)


def run_house(
    place: Path,
    environ: Mapping[str, str] = MappingProxyType({}),
    *,
    checkout: Path = CHECKOUT,
    nursery: Path | None = None,
) -> Iterator[House]:
    """Start everything with these variables, for a fixture; end it afterwards."""
    slack = SlackStandIn()
    service = Service(place, checkout=checkout, environ={**slack.environ, **environ}, nursery=nursery)
    try:
        slack.start()
        service.start()
        yield House(service, Sender(service.url, place / "sender.jsonl"), slack)
    finally:
        service.close()
        slack.stop()
    assert slack.refused == []


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """A workspace that takes what the real one takes."""
    slack = SlackStandIn()
    slack.start()
    yield slack
    slack.stop()
    assert slack.refused == []


@pytest.fixture
def service_with(tmp_path: Path, slack: SlackStandIn, nursery: Path) -> Iterator[MakeService]:
    """Make a service that has more handlers, or another environment; nothing of it is started yet."""
    with ExitStack() as stack:

        def make(*, handlers: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Service:
            checkout = copy_checkout(tmp_path, handlers) if handlers else CHECKOUT
            environ = {**slack.environ, **(environ or {})}
            service = Service(tmp_path, checkout=checkout, environ=environ, nursery=nursery)
            stack.callback(service.close)
            return service

        yield make


@pytest.fixture
def service(service_with: MakeService) -> Service:
    """A service that alerts that workspace; nothing of it is started yet."""
    return service_with()


@pytest.fixture
def sender(service: Service, tmp_path: Path) -> Sender:
    """A provider that knows the service's secrets."""
    return Sender(service.url, tmp_path / "sender.jsonl")
