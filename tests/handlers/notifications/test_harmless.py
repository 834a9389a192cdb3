"""What strangers wrote does nothing in Slack."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.notifications.harmless import clean, mrkdwn, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ben & Jerry", "Ben &amp; Jerry"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U1>", "&lt;@U1&gt;"),
        ("<https://evil.example|Stripe>", "&lt;https://evil.example|Stripe&gt;"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("*paid* ~not~ `now`", "\u2217paid\u2217 \u223cnot\u223c \u02cbnow\u02cb"),
        ("_paid_", "\uff3fpaid\uff3f"),
        ("pi_3Pq_x1", "pi_3Pq_x1"),
        ("invoice \u202efdp.exe", "invoice fdp.exe"),
        ("a\x00b\x1b[31mc\u200bd", "ab[31mcd"),
        ("Ada\n\n> quoted\tLovelace ", "Ada &gt; quoted Lovelace"),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),  # Hindi needs its joiners
    ],
)
def test_nothing_in_a_name_means_anything_to_slack(text: str, shown: str) -> None:
    assert mrkdwn(text) == shown


@given(text=st.text())
def test_no_text_leaves_an_unescaped_bracket_a_control_or_a_turned_direction(text: str) -> None:
    for shown in (mrkdwn(text), plain(text)):
        assert not set(shown) & set("<>\n\u202e\u2066")
        assert not any(unicodedata.category(char) == "Cc" for char in shown)


@given(text=st.text(), max_chars=st.integers(1, 50))
def test_text_is_cut_to_length_before_it_is_escaped(text: str, max_chars: int) -> None:
    assert len(clean(text, max_chars)) <= max_chars
    assert len(plain(text, max_chars)) <= max_chars
    assert len(mrkdwn(text, max_chars)) <= 5 * max_chars


def test_a_text_that_was_cut_says_so() -> None:
    assert clean("insufficient funds", 10) == "insuffici…"
