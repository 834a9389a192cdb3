"""Every sample, signed, passes the real receivers: verified, named, and never the same event twice."""

import hashlib
from random import Random

import pytest

from cli.sample import Webhook, freshen, list_samples, load_sample
from cli.signing import sign_github, sign_slack, sign_stripe
from receivers.provider import Handshake, Headers, Incoming, Rejected, Request
from receivers.providers import load_providers

SECRET = "whsec_test_0123456789abcdef"
NOW = 1_800_000_000.0

PROVIDERS = {provider.path: provider for provider in load_providers()}
ALL = [(source, type_) for source in ("github", "slack", "stripe") for type_ in list_samples(source)]


def sample(source: str, type_: str, seed: int = 1) -> Webhook:
    return freshen(load_sample(source, type_), [], now=NOW, random=Random(seed))  # noqa: S311  # no secret


def headers(source: str, webhook: Webhook) -> Headers:
    signed = {
        "stripe": lambda: sign_stripe(webhook.body, SECRET, NOW),
        "slack": lambda: sign_slack(webhook.body, SECRET, NOW),
        "github": lambda: {
            **sign_github(webhook.body, SECRET),
            "x-github-event": webhook.event_name or "",
            "x-github-delivery": "4bbaa3ab-9ef1-4fd2-949b-747756d6accb",
            "x-github-hook-id": "1",
        },
    }[source]()
    return Headers([(name.encode(), value.encode()) for name, value in signed.items()])


def received(source: str, webhook: Webhook) -> Incoming | Handshake:
    provider = PROVIDERS[webhook.path]
    sent = headers(source, webhook)
    assert provider.verify(sent, webhook.body, [SECRET], NOW) == 0
    assert webhook.content_type in provider.content_types
    digest = hashlib.sha256(webhook.body).hexdigest()
    return provider.read(
        Request(headers=sent, content_type=webhook.content_type, body=webhook.body, body_sha256=digest)
    )


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_every_sample_is_verified_and_named_by_its_receiver(source: str, type_: str) -> None:
    event = received(source, sample(source, type_))
    if type_ == "url_verification":
        assert isinstance(event, Handshake)
        return
    assert isinstance(event, Incoming)
    assert event.flaw is None
    assert event.type == type_


@pytest.mark.parametrize(("source", "type_"), ALL)
def test_every_sample_is_refused_with_one_byte_changed(source: str, type_: str) -> None:
    webhook = sample(source, type_)
    with pytest.raises(Rejected):
        PROVIDERS[webhook.path].verify(headers(source, webhook), webhook.body + b" ", [SECRET], NOW)


@pytest.mark.parametrize(("source", "type_"), [pair for pair in ALL if pair[1] not in ("url_verification", "push")])
def test_two_triggers_are_two_events(source: str, type_: str) -> None:
    one, other = (received(source, sample(source, type_, seed)) for seed in (1, 2))
    assert isinstance(one, Incoming)
    assert isinstance(other, Incoming)
    assert one.dedupe_key != other.dedupe_key
