"""Asks the HTTP API of a service; what it refuses comes out as one sentence."""

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cli.errors import Disconnected, Gone, NotDone
from cli.show import note

if TYPE_CHECKING:
    import httpx

# ruff: noqa: PLC0415  # the HTTP client, and what belongs to it, is imported by those who ask

URL, TOKEN = "HOOKLINE_URL", "HOOKLINE_TOKEN"

TIMEOUT_S = 60.0
# A preview of 100,000 deliveries reads as many bodies.

NOTHING_HERE = "Nothing is received at this path."
# What a service says while no token exists: as if there were no API.

View = dict[str, Any]


def is_remote(environ: Mapping[str, str]) -> bool:
    """Say whether the commands are to go to a service elsewhere."""
    return bool(environ.get(URL, "").strip())


def open_api(environ: Mapping[str, str]) -> "Api":
    """Make the way to the service that the environment names.

    Raises:
        NotDone: its address or the token cannot be used.

    """
    url, token = environ.get(URL, "").strip(), environ.get(TOKEN, "").strip()
    if not token:
        raise NotDone(f"--token or {TOKEN} must be set: somebody there makes one with `hookline tokens create`")
    if not (token.isascii() and token.isprintable()):
        raise NotDone(f"{TOKEN} is not a token")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if usable and parts.username is not None:
        # The HTTP client would send these in the token's place, and messages would show them.
        raise NotDone("the address of a service has no user or password in it: the token says who asks")
    if not usable or not url.isascii():
        raise NotDone(f"{url!r} is not an address such as https://hooks.example.com")
    if parts.scheme == "http" and not _is_here(parts.hostname or ""):
        note(f"{url} is not encrypted: whoever is on the way can read the token")
    return Api(url.rstrip("/"), token)


def ask(environ: Mapping[str, str], path: str, **params: Any) -> View:  # noqa: ANN401  # as for Api.get
    """Ask the service that the environment names for one thing. Raises as `open_api` and `Api.get`."""
    with closing(open_api(environ)) as api:
        return api.get(path, **params)


class Api:
    """One service."""

    def __init__(self, url: str, token: str) -> None:
        """Take its address, and a token for it."""
        self.url = url
        self._token = token
        self._client: httpx.Client | None = None

    def get(self, path: str, **params: Any) -> View:  # noqa: ANN401  # anything that can stand in a query
        """Ask for something; parameters that are None are left out.

        Raises:
            Disconnected: the service does not answer.
            Gone: there is no such thing, or not any more.
            NotDone: it refuses.

        """
        return _object(self._ask("GET", path, params={k: v for k, v in params.items() if v is not None}))

    def post(self, path: str, **body: Any) -> View:  # noqa: ANN401  # any JSON
        """Ask for something to be done; fields that are None are left out. Raises as `get`."""
        return _object(self._ask("POST", path, json={k: v for k, v in body.items() if v is not None}))

    def delete(self, path: str) -> View:
        """Ask for an end of something. Raises as `get`."""
        return _object(self._ask("DELETE", path))

    def raw(self, path: str) -> bytes:
        """Ask for bytes. Raises as `get`."""
        return self._ask("GET", path).content

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _ask(self, method: str, path: str, **sent: Any) -> "httpx.Response":  # noqa: ANN401  # httpx's own
        import httpx

        if self._client is None:
            # trust_env: a proxy is for the outside, and must not see what goes to this machine.
            elsewhere = not _is_here(urlsplit(self.url).hostname or "")
            headers = {"authorization": f"Bearer {self._token}", "user-agent": "hookline"}
            self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S, trust_env=elsewhere)
        try:
            answer = self._client.request(method, f"{self.url}/api/v1{path}", **sent)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Disconnected(f"{self.url} does not answer ({str(error) or type(error).__name__})") from None
        if not answer.is_success:
            raise _refusal(self.url, answer)
        return answer


def place(text: object) -> str:
    """Write an id so that it can stand in a path."""
    return quote(str(text), safe="")


def _refusal(url: str, answer: "httpx.Response") -> NotDone:
    from http import HTTPStatus

    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = ""
    if answer.status_code == HTTPStatus.NOT_FOUND and detail in {"", NOTHING_HERE}:
        return NotDone(f"there is no API at {url}: it is off until `hookline tokens create` has made a token there")
    if answer.status_code in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}:
        return Disconnected(f"{url} answers {answer.status_code}: {detail or answer.reason_phrase}")
    sentence = (detail or f"{url} answers {answer.status_code} {answer.reason_phrase}").rstrip(".")
    kind = Gone if answer.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE} else NotDone
    return kind(sentence[:1].lower() + sentence[1:])


def _object(answer: "httpx.Response") -> View:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise NotDone(f"{answer.url.host} does not answer as a Hookline would: is the address right?")
    return told


def _is_here(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
