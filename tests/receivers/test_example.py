"""The provider that docs/adding-a-provider.md shows does what the page says."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from ledger.event import JSON
from receivers.provider import Headers, Incoming, Rejected, Request
from tests.receivers.example import shopify

PAGE, EXAMPLE = CHECKOUT / "docs" / "adding-a-provider.md", Path(shopify.__file__)
(SHOPIFY,) = shopify.PROVIDERS
OLD, NEW = "an_old_secret_of_a_shop", "a_new_secret_of_a_shop"
BODY = b'{"id": 820982911946154508, "total_price": "403.00"}'


def test_the_page_shows_the_example_as_it_is() -> None:
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```\n" in PAGE.read_text(encoding="utf-8")


def test_the_example_says_which_secret_signed_and_refuses_all_else() -> None:
    signature = base64.b64encode(hmac.digest(OLD.encode(), BODY, "sha256"))
    headers = Headers([(SHOPIFY.signature_header, signature)])
    assert SHOPIFY.verify(headers, BODY, (NEW, OLD), 0.0) == 1
    for given, body in (
        (headers, BODY + b" "),
        (Headers([(SHOPIFY.signature_header, b"\xff")]), BODY),
        (Headers([]), BODY),
    ):
        with pytest.raises(Rejected):
            SHOPIFY.verify(given, body, (NEW, OLD), 0.0)


def test_the_example_names_an_event_by_its_headers_and_what_it_cannot_name_by_its_body() -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    named = [(b"x-shopify-topic", b"orders/create"), (b"x-shopify-webhook-id", b"b54557e4")]
    request = Request(headers=Headers(named), content_type=JSON, body=BODY, body_sha256=digest)
    assert SHOPIFY.read(request) == Incoming("b54557e4", f"b54557e4:{digest}", "orders/create")
    unnamed = SHOPIFY.read(request._replace(headers=Headers([])))
    assert isinstance(unnamed, Incoming)
    assert (unnamed.dedupe_key, bool(unnamed.flaw)) == (f"sha256:{digest}", True)
