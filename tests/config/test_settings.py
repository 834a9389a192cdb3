"""The environment."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.database import database_url
from config.errors import InvalidSettings
from config.settings import load_secrets, load_settings

SECRET = "a-secret-that-is-long-enough"


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.production


def test_without_a_database_url_the_ledger_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    settings = load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)})
    assert database_url(settings).database == str(tmp_path / "ledger.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_spelling_of_a_postgresql_url_works(scheme: str) -> None:
    url = database_url(load_settings({"DATABASE_URL": f"{scheme}://me:pw@db.example/hookline"}))
    assert url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("value", ["mysql://db/x", "nonsense", "sqlite://"])
def test_a_database_url_that_cannot_hold_the_ledger_is_refused(value: str) -> None:
    with pytest.raises(InvalidSettings, match="DATABASE_URL"):
        database_url(load_settings({"DATABASE_URL": value}))


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("postgresql://db/ledger?row_factory=x&sslmode=require", "row_factory"),
        ("postgresql://db/ledger?patience_s=3", "patience_s"),
        ("sqlite:////var/ledger.db?timeout=abc", "timeout"),
    ],
)
def test_an_option_that_no_database_knows_is_refused_by_name(url: str, option: str) -> None:
    with pytest.raises(InvalidSettings, match=f"DATABASE_URL cannot be used: it asks for {option};"):
        database_url(load_settings({"DATABASE_URL": url}))


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8000.5"])
def test_a_port_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(InvalidSettings, match="PORT cannot be used"):
        load_settings({"PORT": port})


def test_a_slack_api_url_is_a_folder() -> None:
    assert load_settings({"SLACK_API_URL": "http://127.0.0.1:9/api"}).slack_api_url == "http://127.0.0.1:9/api/"


def test_a_secret_may_be_a_list_newest_first() -> None:
    found = load_secrets({"STRIPE_WEBHOOK_SECRET": f"new-{SECRET}, old-{SECRET}"}, ["STRIPE_WEBHOOK_SECRET"])
    assert found["STRIPE_WEBHOOK_SECRET"].keys == (f"new-{SECRET}", f"old-{SECRET}")


def test_an_unset_secret_leaves_its_source_out() -> None:
    assert load_secrets({}, ["STRIPE_WEBHOOK_SECRET"]) == {}


@pytest.mark.parametrize("value", ["", " ", "\t\n", ",", f"{SECRET},", f" ,{SECRET}", "short", f"{SECRET},short"])
def test_a_blank_or_short_secret_is_refused_by_name_and_never_shown(value: str) -> None:
    with pytest.raises(InvalidSettings, match="of STRIPE_WEBHOOK_SECRET") as caught:
        load_secrets({"STRIPE_WEBHOOK_SECRET": value}, ["STRIPE_WEBHOOK_SECRET"])
    assert "short" not in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_secrets({"A": "", "B": "x"}, ["A", "B"])
    assert len(caught.value.problems) == 2


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_any_secret_is_either_long_enough_or_refused(value: str) -> None:
    try:
        found = load_secrets({"A": value}, ["A"])
    except InvalidSettings:
        return
    assert all(len(key) >= 16 and key == key.strip() for key in found["A"].keys)
