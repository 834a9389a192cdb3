"""A service with an API, as its bearers see it."""

import itertools
import time
from typing import Any

import httpx

from ledger import tokens
from ledger.audit import By
from ledger.store import Ledger
from ledger.tokens import Scope
from tests.receivers.http.server import Server

API = "/api/v1"

_numbers = itertools.count(1)


class House:
    """One web process and its ledger."""

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self.server = server
        self.ledger = ledger

    def token(self, *scopes: str, expires_in_s: float | None = None) -> str:
        """Make a token with these scopes."""
        now = time.time()
        with self.ledger.write() as db:
            _, token = tokens.make_token(
                db,
                name=f"ann-{next(_numbers)}",
                scopes=[Scope(each) for each in scopes],
                expires_at=None if expires_in_s is None else now + expires_in_s,
                by=By(who="ann", via="cli"),
                now=now,
            )
        return token

    def ask(
        self, method: str, path: str, token: str | None = None, *, params: Any = None, **body: Any
    ) -> httpx.Response:
        """Ask the API something; what is sent is JSON."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        sent = body if method == "POST" else None
        return self.server.http.request(method, f"{API}{path}", headers=headers, params=params, json=sent)
