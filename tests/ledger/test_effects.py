"""How messages are kept."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.effects import read_message, write_message

TEXTS = st.text(st.characters(codec=None))  # halves of characters too
VALUES = st.recursive(
    TEXTS | st.booleans(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXTS, parts, max_size=3),
    max_leaves=12,
)


@given(message=st.dictionaries(TEXTS, VALUES, max_size=4), for_us_only=st.booleans())
def test_a_message_of_text_reads_as_if_it_had_been_written_the_plain_way(
    message: dict[str, object], *, for_us_only: bool
) -> None:
    of_text, plain = (write_message(message, for_us_only=for_us_only, of_text=each) for each in (True, False))
    assert read_message(of_text) == read_message(plain)
    assert of_text.isascii()  # no database's encoding is in its way
