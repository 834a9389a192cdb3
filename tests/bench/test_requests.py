"""Prepared requests are what their provider would send, but for the forged ones."""

import time
from hashlib import sha256
from pathlib import Path

import pytest

from bench import requests
from bench.prepared import read
from receivers.provider import Headers, Incoming, Provider, Rejected, Request
from receivers.providers import github, stripe
from tests.system.secrets import GITHUB_SECRET, STRIPE_SECRET

COUNT = 1_600


def parsed(request: bytes) -> tuple[Headers, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    pairs = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    headers = Headers([(name, value) for name, value in pairs])
    assert headers.get(b"content-length") == b"%d" % len(body)
    return headers, body


def external_id(provider: Provider, secret: str, request: bytes) -> str | None:
    """Give the id of an event whose signature holds."""
    headers, body = parsed(request)
    try:
        provider.verify(headers, body, (secret,), time.time())
    except Rejected:
        return None
    digest = sha256(body).hexdigest()
    seen = Request(headers=headers, content_type="application/json", body=body, body_sha256=digest)
    incoming = provider.read(seen)
    assert isinstance(incoming, Incoming)
    assert incoming.flaw is None
    return incoming.external_id


@pytest.mark.parametrize(
    ("kind", "provider", "secret"),
    [
        (requests.payment(), stripe.PROVIDERS[0], STRIPE_SECRET),
        (requests.failed_payment(), stripe.PROVIDERS[0], STRIPE_SECRET),
        (requests.build(), github.PROVIDERS[0], GITHUB_SECRET),
    ],
    ids=["payment", "failed payment", "build"],
)
def test_each_request_is_an_event_of_its_own_and_one_in_a_thousand_is_forged(
    kind: requests.Kind, provider: Provider, secret: str, tmp_path: Path
) -> None:
    batch = requests.prepare(tmp_path / "requests", kind, COUNT)
    ids = [external_id(provider, secret, request) for request in read(batch.file)]
    assert batch.ids(COUNT) == set(ids) - {None}
    assert batch.ids(501) == set(ids[:501]) - {None}
    assert not batch.forged_ids() & batch.ids(COUNT)
    assert [number for number, each in enumerate(ids) if each is None] == [500, 1500]
    assert requests.count_forged(COUNT) == 2
    assert len(set(ids) - {None}) == COUNT - 2


def test_an_event_has_about_two_kilobytes(tmp_path: Path) -> None:
    for kind in (requests.payment(), requests.failed_payment(), requests.build()):
        batch = requests.prepare(tmp_path / "requests", kind, 1)
        _, body = parsed(next(read(batch.file)))
        assert 2_000 <= len(body) <= 2_700


def test_a_large_body_is_just_under_what_github_may_send(tmp_path: Path) -> None:
    kind = requests.large_push(25_000_000)
    [request] = read(requests.prepare(tmp_path / "requests", kind, 1).file)
    _, body = parsed(request)
    assert 24_900_000 < len(body) <= 25_000_000 < github.PROVIDERS[0].max_body_bytes
    assert external_id(github.PROVIDERS[0], GITHUB_SECRET, request) is not None
