"""The status of SFTPGo and the reachability of TMDB, over HTTP."""

from collections.abc import Generator
from typing import Final, TypedDict

import httpx
from django.conf import settings

from common.errors import explain
from health.probes.answers import json_object
from health.registry import Degraded, Failed, NotApplicable

# Per connect, write and read. The probe's deadline ends a longer run by closing the client.
TIMEOUT: Final = 1.0
STATUS_PATH: Final = "/api/v2/status"
TOKEN_PATH: Final = "/api/v2/token"  # noqa: S105 - no password
# A v4 token of TMDB is a JWT and begins so; a v3 key is hexadecimal.
TOKEN_PREFIX: Final = "eyJ"  # noqa: S105 - no password


# --- SFTPGo ----------------------------------------------------------------------------------------------
class Services(TypedDict):
    sftp: str | None
    ftp: str | None
    webdav: str | None


class Sftpgo(TypedDict):
    services: Services
    data_provider: str | None


def sftpgo_unknown() -> Sftpgo:
    """Return the section without an answer of SFTPGo."""
    return {"services": {"sftp": None, "ftp": None, "webdav": None}, "data_provider": None}


class SftpgoAuth(httpx.Auth):
    """Sends the token of an administrator, which is kept until SFTPGo refuses the token."""

    requires_response_body = True

    def __init__(self, user: str, password: str) -> None:
        self._basic = httpx.BasicAuth(user, password)
        self._token: dict[str, str] = {}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request; if SFTPGo refuses the token, request a new token and repeat the request."""
        request.headers.update(self._token)
        if (yield request).status_code == httpx.codes.UNAUTHORIZED:
            answer = yield next(self._basic.auth_flow(httpx.Request("GET", request.url.copy_with(path=TOKEN_PATH))))
            self._token = {"Authorization": f"Bearer {json_object(answer).get('access_token')}"}
            request.headers.update(self._token)
            yield request


def sftpgo_client() -> httpx.Client | None:
    """Return a client with the API key, else with the user; None if SFTPGO_URL is not set."""
    if not settings.SFTPGO_URL:
        return None
    key, user = settings.SFTPGO_API_KEY, settings.SFTPGO_USER
    return httpx.Client(
        base_url=settings.SFTPGO_URL,
        timeout=TIMEOUT,
        headers={"X-SFTPGO-API-KEY": key} if key else {},
        auth=SftpgoAuth(user, settings.SFTPGO_PASSWORD) if user and not key else None,
    )


def inspect_sftpgo(client: httpx.Client | None) -> Sftpgo:
    """Return the active services. Raise Degraded if the data provider is down, NotApplicable without SFTPGo.

    The body decides: SFTPGo answers 200 even if the data provider is dead.
    """
    if client is None:
        raise NotApplicable("disabled: SFTPGO_URL is not set")
    status = json_object(client.get(STATUS_PATH))

    def is_active(service: str) -> bool:
        details = status.get(service)
        return isinstance(details, dict) and details.get("is_active") is True

    sftp, ftp, webdav = ("ok" if is_active(service) else "disabled" for service in ("ssh", "ftp", "webdav"))
    values: Sftpgo = {
        "services": {"sftp": sftp, "ftp": ftp, "webdav": webdav},
        "data_provider": "ok" if is_active("data_provider") else "error",
    }
    if not is_active("data_provider"):
        raise Degraded("its data provider is down", values)
    return values


# --- TMDB ------------------------------------------------------------------------------------------------
class Tmdb(TypedDict):
    api_key_configured: bool
    enabled: bool
    api_reachable: bool | None


def tmdb_unknown() -> Tmdb:
    """Return the section without an answer of TMDB."""
    configured = bool(settings.TMDB_API_KEY)
    return {"api_key_configured": configured, "enabled": settings.TMDB_ENABLED, "api_reachable": None}


def tmdb_client() -> httpx.Client | None:
    """Return a client; None unless TMDB is enabled and a key is configured."""
    if not (settings.TMDB_ENABLED and settings.TMDB_API_KEY):
        return None
    return httpx.Client(base_url=settings.TMDB_URL, timeout=TIMEOUT)


def inspect_tmdb(client: httpx.Client | None) -> Tmdb:
    """Request TMDB's smallest resource; an answer of TMDB that refuses the key counts as reachable.

    Raise Failed without an answer of TMDB, NotApplicable without key or if TMDB is disabled.
    """
    key, values = settings.TMDB_API_KEY, tmdb_unknown()
    if not settings.TMDB_ENABLED:
        raise NotApplicable("disabled: TMDB_ENABLED is off", values)
    if client is None:
        raise NotApplicable("not configured: TMDB_API_KEY is not set", values)
    is_token = key.startswith(TOKEN_PREFIX)
    try:
        answer = client.get(
            "/configuration",
            headers={"Authorization": f"Bearer {key}"} if is_token else {},
            params={} if is_token else {"api_key": key},
        )
    except httpx.HTTPError as error:
        values["api_reachable"] = False
        raise Failed(explain(error, TIMEOUT) or "not reachable", values) from error
    values["api_reachable"] = not answer.is_server_error and _is_tmdb(answer)
    if not values["api_reachable"]:
        status = f"answered with HTTP {answer.status_code}"
        raise Failed(status if answer.is_server_error else "the answer is not TMDB's", values)
    return values


def _is_tmdb(answer: httpx.Response) -> bool:
    """Return whether TMDB wrote the answer. A captive portal answers 200 or 302 in the place of TMDB."""
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and ("images" in body or {"status_code", "status_message"} <= body.keys())
