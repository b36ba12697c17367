"""The JSON answers of services over HTTP."""

from typing import Any

import httpx

from health.registry import Failed


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the object in a JSON answer. Raise HTTPStatusError for an error, Failed for a different body."""
    response.raise_for_status()
    try:
        body = response.json()
    except ValueError as error:
        raise Failed("the answer is not JSON") from error
    if not isinstance(body, dict):
        raise Failed("the answer is unexpected JSON")
    return body
