"""The HTTP client of the probes that ask other servers: httpx, with limits."""

from typing import Any

import httpx

from health.registry import Failed

# Per connection, write and read; a server that drips is ended by the probe's deadline, which closes the client.
TIMEOUT = 1.0


def new_client(base_url: str, **options: Any) -> httpx.Client:
    """Make a client that keeps its connection."""
    return httpx.Client(base_url=base_url, timeout=TIMEOUT, **options)


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The body, which must be a JSON object. Raises Failed, or httpx's error for a status that is no success."""
    response.raise_for_status()
    try:
        body = response.json()
    except ValueError as problem:
        raise Failed("answered with something else than JSON") from problem
    if not isinstance(body, dict):
        raise Failed("answered with unexpected JSON")
    return body
