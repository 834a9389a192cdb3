"""Where this machine reaches the web process."""

import pytest

from cli.dev.readiness import base_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104  # what to call it, not a bind
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_a_host_is_reached_at_an_address_that_can_be_called(host: str, url: str) -> None:
    assert base_url(host, 8000) == url
