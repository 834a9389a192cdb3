"""What is logged, and what never is."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logs import clean, render_line
from config.settings import CHECKOUT


def logged(code: str, *, development: bool = False) -> str:
    script = f"from config.logs import configure_logs; configure_logs(development={development}); {code}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_in_production_each_line_is_a_json_object() -> None:
    out = logged("import structlog; structlog.get_logger().info('event accepted', source='stripe', event_id=7)")
    line = json.loads(out)
    assert (line["event"], line["source"], line["event_id"], line["level"]) == ("event accepted", "stripe", 7, "info")
    assert line["timestamp"].endswith("Z")


def test_what_libraries_log_has_the_same_form() -> None:
    line = json.loads(logged("import logging; logging.getLogger('uvicorn.error').warning('%s is %d', 'it', 3)"))
    assert (line["event"], line["level"]) == ("it is 3", "warning")


def test_a_traceback_holds_no_local_variables() -> None:
    code = (
        "import structlog\\n"
        "def fail():\\n    body = 'card-4242'\\n    raise ValueError\\n"
        "try:\\n    fail()\\nexcept ValueError:\\n    structlog.get_logger().exception('failed')"
    )
    for development in (False, True):
        out = logged(f'exec("{code}")', development=development)
        assert "ValueError" in out
        assert "card-4242" not in out


def test_a_line_break_in_a_value_starts_no_new_line() -> None:
    for development in (False, True):
        out = logged(
            "import structlog; structlog.get_logger().info('x', agent='a\\r\\n{\"level\":\"forged\"}\\x1b[2J')",
            development=development,
        )
        assert out.count("\n") == 1
        assert "\x1b[2J" not in out


def test_nobody_who_reads_the_log_is_no_error() -> None:
    script = (
        "from config.logs import configure_logs; import os, structlog; configure_logs(development=False);"
        "reading, writing = os.pipe(); os.close(reading); os.dup2(writing, 1);"
        "[structlog.get_logger().info('x' * 9000) for _ in range(3)]; os.write(2, b'went on'); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, timeout=60, check=True)
    assert done.stderr == b"went on"


@pytest.mark.parametrize(
    "secret",
    ["whsec_0123456789abcdef", "xoxb-1-2-abc", "sk_live_abc123", "rk_test_abc", "ghp_abc", "redis://user:pw@host/0"],
)
def test_secrets_are_redacted_wherever_they_stand(secret: str) -> None:
    cleaned = clean(None, "info", {"event": f"it was {secret}!", "error": secret})
    assert secret not in json.dumps(cleaned)
    assert "[redacted]" in cleaned["event"]


@given(st.text())
def test_no_text_can_break_a_line(text: str) -> None:
    cleaned = clean(None, "info", {"value": text})["value"]
    assert not set(cleaned) & {chr(code) for code in (*range(9), *range(11, 32), 127, 0x2028, 0x202E)}


TRICKY = st.text() | st.sampled_from(
    [
        "whsec_0123",
        "xoxb-1-2",
        "sk_live_a1",
        "rk_test_b2",
        "ghp_c3",
        "github_pat_d4",
        "redis://user:pw@host/0",
        "\x7f",
        "\x9b",
    ]
)


@given(st.dictionaries(st.text(min_size=1), TRICKY | st.lists(TRICKY).map(" ".join) | st.integers() | st.none()))
def test_the_short_way_to_a_line_hides_all_that_the_long_way_hides(event: dict[str, object]) -> None:
    assert json.loads(render_line(None, "info", dict(event))) == json.loads(
        json.dumps(clean(None, "info", dict(event)))
    )
