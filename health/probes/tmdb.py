"""The reachability of TMDB."""

from typing import Final, TypedDict

import httpx
from django.conf import settings

from common.errors import explain
from health.probes.http_client import TIMEOUT, new_client
from health.registry import Failed, NotApplicable

# A v4 token is a JWT and begins so; a v3 key is hexadecimal.
TOKEN_PREFIX: Final = "eyJ"  # noqa: S105 - no password


class Tmdb(TypedDict):
    api_key_configured: bool
    enabled: bool
    api_reachable: bool | None


class TmdbClient:
    """Creates its HTTP client on first use: on most platforms TMDB is off."""

    def __init__(self) -> None:
        self._http: httpx.Client | None = None

    def get_configuration(self) -> int:
        """Request TMDB's smallest resource; return the HTTP status."""
        if self._http is None:
            self._http = new_client(settings.TMDB_URL)
        key = settings.TMDB_API_KEY
        is_token = key.startswith(TOKEN_PREFIX)
        return self._http.get(
            "/configuration",
            headers={"Authorization": f"Bearer {key}"} if is_token else {},
            params={} if is_token else {"api_key": key},
        ).status_code

    def close(self) -> None:
        """Close the connection, even while another thread waits for an answer."""
        if self._http is not None:
            self._http.close()


def inspect_tmdb(client: TmdbClient) -> Tmdb:
    """Send a request to TMDB; an answer that refuses the key counts as reachable.

    Raise Failed without answer, NotApplicable without key or if TMDB is disabled.
    """
    values: Tmdb = {
        "api_key_configured": bool(settings.TMDB_API_KEY),
        "enabled": settings.TMDB_ENABLED,
        "api_reachable": None,
    }
    if not values["enabled"]:
        raise NotApplicable("disabled: TMDB_ENABLED is off", values)
    if not values["api_key_configured"]:
        raise NotApplicable("not configured: TMDB_API_KEY is not set", values)
    try:
        status = client.get_configuration()
    except httpx.HTTPError as error:
        values["api_reachable"] = False
        raise Failed(explain(error, TIMEOUT) or "not reachable", values) from error
    values["api_reachable"] = status < httpx.codes.INTERNAL_SERVER_ERROR
    if not values["api_reachable"]:
        raise Failed(f"answered with HTTP {status}", values)
    return values
