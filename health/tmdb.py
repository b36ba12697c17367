"""Whether TMDB can be reached: asked rarely, since its answer is meant to be kept for days."""

from typing import TypedDict

import httpx
from django.conf import settings

from common.errors import explain
from health.http_client import new_client
from health.registry import Failed, Unasked

KEY_IS_TOKEN = "eyJ"  # noqa: S105 - how every v4 token begins: it is a JWT; a v3 key is hexadecimal


class Tmdb(TypedDict):
    api_key_configured: bool
    enabled: bool
    api_reachable: bool | None


class TmdbClient:
    """Makes its HTTP client when it is first needed: most platforms have TMDB switched off."""

    def __init__(self) -> None:
        self._http: httpx.Client | None = None

    def ask(self) -> int:
        """Ask for the configuration, TMDB's smallest answer; returns the HTTP status."""
        if self._http is None:
            self._http = new_client(settings.TMDB_URL)
        key = settings.TMDB_API_KEY
        is_token = key.startswith(KEY_IS_TOKEN)
        return self._http.get(
            "/configuration",
            headers={"Authorization": f"Bearer {key}"} if is_token else {},
            params={} if is_token else {"api_key": key},
        ).status_code

    def close(self) -> None:
        """End the connection, also one that another thread is waiting on."""
        if self._http is not None:
            self._http.close()


def inspect(client: TmdbClient) -> Tmdb:
    """Ask TMDB, if a key is configured and it is enabled. A wrong key is an answer.

    Raises Failed where none comes, Unasked where none is sought.
    """
    found: Tmdb = {
        "api_key_configured": bool(settings.TMDB_API_KEY),
        "enabled": settings.TMDB_ENABLED,
        "api_reachable": None,
    }
    if not found["enabled"]:
        raise Unasked("disabled: TMDB_ENABLED is off", found)
    if not found["api_key_configured"]:
        raise Unasked("not configured: TMDB_API_KEY is not set", found)
    try:
        status = client.ask()
    except httpx.HTTPError as problem:
        found["api_reachable"] = False
        raise Failed(explain(problem, 1.0) or "not reachable", found) from problem
    found["api_reachable"] = status < httpx.codes.INTERNAL_SERVER_ERROR
    if not found["api_reachable"]:
        raise Failed(f"answered with HTTP {status}", found)
    return found
