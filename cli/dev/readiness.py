"""Whether the web process takes requests yet, asked the way a load balancer asks."""

import asyncio

import httpx

POLL_S = 0.1
ANSWER_TIMEOUT_S = 2.0

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # what to call them, not a bind


def base_url(host: str, port: int) -> str:
    """Give the address at which this machine reaches a server that listens on HOST:PORT."""
    reachable = ANY_ADDRESS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


async def until_ready(url: str) -> None:
    """Return when GET /readyz is answered 200."""
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_TIMEOUT_S) as client:
        while not await _is_ready(client, f"{url}/readyz"):  # noqa: ASYNC110  # another process sets no Event
            await asyncio.sleep(POLL_S)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
