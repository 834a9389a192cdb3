"""What docs/operations.md says is so: its variables, commands, metrics, alerts, links and files are those there are."""

import re

import pytest
import typer
from typer.main import get_command

from cli.main import app
from config.settings import CHECKOUT, Settings
from receivers.providers import load_providers
from tests.deploy import page

OWN = "hookline_dev"
# `hookline dev` tells its children by it who they are; nobody else sets it.

IN_PROCFILE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def test_the_table_holds_every_variable_with_its_default() -> None:
    settings = {name.upper(): field.default for name, field in Settings.model_fields.items() if name != OWN}
    secrets = dict.fromkeys((provider.secret_variable for provider in load_providers()), None)
    procfile = dict(IN_PROCFILE.findall((CHECKOUT / "Procfile").read_text()))
    expected = {name: "unset" if default is None else str(default) for name, default in (settings | secrets).items()}
    in_the_checkout = {"HOOKLINE_DATA_DIR": "var/", "HOOKLINE_ALERTS": "config/alerts.toml"}
    expected |= procfile | {name: f"{path}` in the checkout" for name, path in in_the_checkout.items()}
    assert {variable.name: variable.default for variable in page.variables()} == expected


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    rules = (CHECKOUT / "deploy" / "prometheus" / "rules.yml").read_text()
    alerts = re.findall(r"^\s*- alert: (\w+)$", rules, re.MULTILINE)
    assert alerts
    assert sorted(page.headings(3, page.section("What each alert means"))) == sorted(alerts)
    assert set(re.findall(r"docs/operations\.md#([a-z0-9-]+)", rules)) <= page.anchors()


@pytest.mark.parametrize("words", sorted(page.commands()))
def test_a_command_of_the_page_exists(words: tuple[str, ...]) -> None:
    command = get_command(app)
    names = [word for word in words if not word.startswith("-")]
    for name in names:
        if isinstance(command, typer.core.TyperGroup):
            assert name in command.commands, words
            command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_the_metrics_of_the_page_are_those_of_the_service() -> None:
    code = "".join((CHECKOUT / path).read_text() for path in ("config/metrics.py", "ledger/gauges.py"))
    names = set(re.findall(r'"((?:hookline_)?[a-z_]+)"', code))
    known = {name if name.startswith("hookline_") else f"hookline_{name}" for name in names}
    assert page.metrics() <= known


def test_what_the_page_links_to_is_there() -> None:
    inside = {link.removeprefix("#") for link in page.links() if link.startswith("#")}
    assert inside <= page.anchors()
    files = [link.partition("#")[0] for link in page.links() if not link.startswith(("#", "http"))]
    assert [link for link in files if not (CHECKOUT / "docs" / link).exists()] == []


def test_the_files_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"\bdeploy/[A-Za-z0-9_./-]*[A-Za-z0-9](?![A-Za-z0-9*])", page.TEXT))
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []


def test_the_page_shows_the_units_there_are() -> None:
    named = set(re.findall(r"hookline-(?:[a-z]+)(?:@|\.timer)?", page.section("With systemd")))
    units = {path.name.removesuffix(".service") for path in (CHECKOUT / "deploy" / "systemd").glob("hookline-*.*")}
    assert {name for name in named if name.endswith(("@", ".timer"))} <= units
