"""The HTTP client of probes: httpx with timeouts."""

from typing import Any, Final

import httpx

from health.registry import Failed

# Per connect, write and read. The probe's deadline ends a longer run by closing the client.
TIMEOUT: Final = 1.0


def new_client(base_url: str, **options: Any) -> httpx.Client:
    """Return a client that keeps its connection."""
    return httpx.Client(base_url=base_url, timeout=TIMEOUT, **options)


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the body as a JSON object. Raise Failed for any other body, and httpx's error for a bad status."""
    response.raise_for_status()
    try:
        body = response.json()
    except ValueError as error:
        raise Failed("the answer is not JSON") from error
    if not isinstance(body, dict):
        raise Failed("the answer is unexpected JSON")
    return body
