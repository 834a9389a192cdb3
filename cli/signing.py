"""Signs a body as its provider would. For samples and replays; proven against the vendors' own verifiers."""

import hmac


def sign_stripe(body: bytes, secret: str, now: float) -> dict[str, str]:
    """Give the header that Stripe would send at `now` (Unix seconds). `whsec_` is part of the secret."""
    sent_at = int(now)
    return {"stripe-signature": f"t={sent_at},v1={_hex(secret, f'{sent_at}.'.encode() + body)}"}


def sign_github(body: bytes, secret: str) -> dict[str, str]:
    """Give the header that GitHub would send. It has no time in it."""
    return {"x-hub-signature-256": f"sha256={_hex(secret, body)}"}


def sign_slack(body: bytes, secret: str, now: float) -> dict[str, str]:
    """Give the headers that Slack would send at `now` (Unix seconds)."""
    sent_at = int(now)
    return {
        "x-slack-request-timestamp": str(sent_at),
        "x-slack-signature": f"v0={_hex(secret, f'v0:{sent_at}:'.encode() + body)}",
    }


def _hex(secret: str, signed: bytes) -> str:
    return hmac.digest(secret.encode(), signed, "sha256").hex()
