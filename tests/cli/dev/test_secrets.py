"""Development secrets: made once, kept, private."""

import stat
from pathlib import Path

from cli.dev.secrets import ensure_dev_secrets, read_dev_secrets

VARIABLES = ["STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET"]


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "dev-secrets.env"

    first = ensure_dev_secrets(path, VARIABLES, {})

    assert set(first) == set(VARIABLES)
    assert ensure_dev_secrets(path, VARIABLES, {}) == first
    assert read_dev_secrets(path) == first


def test_a_variable_that_is_set_needs_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "dev-secrets.env"

    made = ensure_dev_secrets(path, VARIABLES, {"STRIPE_WEBHOOK_SECRET": "whsec_of_the_developer"})

    assert set(made) == {"GITHUB_WEBHOOK_SECRET"}


def test_a_provider_that_came_later_gets_its_own_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "dev-secrets.env"
    before = ensure_dev_secrets(path, VARIABLES, {})

    after = ensure_dev_secrets(path, [*VARIABLES, "ACME_SECRET"], {})

    assert set(after) == {*VARIABLES, "ACME_SECRET"}
    assert before.items() <= after.items()


def test_the_file_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "dev-secrets.env"

    ensure_dev_secrets(path, VARIABLES, {})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stripe_s_secret_looks_like_stripe_s(tmp_path: Path) -> None:
    made = ensure_dev_secrets(tmp_path / "dev-secrets.env", VARIABLES, {})

    assert made["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
    assert not made["GITHUB_WEBHOOK_SECRET"].startswith("whsec_")


def test_two_variables_of_one_name_share_a_secret(tmp_path: Path) -> None:
    made = ensure_dev_secrets(tmp_path / "dev-secrets.env", ["SLACK_SIGNING_SECRET"] * 3, {})

    assert list(made) == ["SLACK_SIGNING_SECRET"]


def test_nothing_was_kept_before_the_first_start(tmp_path: Path) -> None:
    assert read_dev_secrets(tmp_path / "dev-secrets.env") == {}


def test_lines_that_people_add_are_read_with_care(tmp_path: Path) -> None:
    path = tmp_path / "dev-secrets.env"
    path.write_text("# note\n\nA=1=2\nempty=\nno equals sign\n B = c \n")

    assert read_dev_secrets(path) == {"A": "1=2", "B": "c"}
