"""What is kept of a request's headers."""

from hypothesis import given
from hypothesis import strategies as st

from receivers.headers import kept_headers
from receivers.provider import Headers

NAMES = st.sampled_from([b"host", b"user-agent", b"x-api-key", b"cookie", b"x-\xff", b"content-type"]) | st.binary(
    max_size=8
)
VALUES = st.sampled_from(
    [b"Stripe/1.0 (+https://stripe.com)", b"whsec_abc", b"redis://a:b@c", b"\x00\xff"]
) | st.binary(max_size=40)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=70), st.sampled_from([[], [(b"x-long", b"a" * 1_100)]]))
def test_headers_in_company_are_kept_as_they_are_kept_one_by_one(
    raw: list[tuple[bytes, bytes]], more: list[tuple[bytes, bytes]]
) -> None:
    raw = [*raw, *more]
    one_by_one: dict[str, str] = {}
    for each in raw[:64]:
        for name, value in kept_headers(Headers([each, (b"x-force-the-long-way", b"\x00")])).items():
            if name != "x-force-the-long-way":
                one_by_one[name] = f"{one_by_one[name]}, {value}" if name in one_by_one else value
    assert kept_headers(Headers(raw)) == {name: value[:1_024] for name, value in one_by_one.items()}


def test_the_signature_of_an_event_is_not_kept() -> None:
    assert kept_headers(Headers([(b"host", b"a"), (b"sig", b"b")]), without=b"sig") == {"host": "a"}


def test_no_headers_are_kept_as_none() -> None:
    assert kept_headers(Headers([])) == {}
