"""How SFTPGo does, from its own status page: it answers 200 even when its data provider is dead, so the body counts."""

from base64 import b64encode
from typing import Any, TypedDict

import httpx
from django.conf import settings

from health.http_client import json_object, new_client
from health.registry import Degraded, Unasked

STATUS = "/api/v2/status"
TOKEN = "/api/v2/token"  # noqa: S105 - an address


class Services(TypedDict):
    sftp: str | None
    ftp: str | None
    webdav: str | None


class Sftpgo(TypedDict):
    services: Services
    data_provider: str | None


UNKNOWN: Sftpgo = {"services": {"sftp": None, "ftp": None, "webdav": None}, "data_provider": None}


class SftpgoClient:
    """Asks with an API key, or with an administrator's token that is kept until SFTPGo no longer takes it."""

    def __init__(self) -> None:
        key = settings.SFTPGO_API_KEY
        self._http = new_client(settings.SFTPGO_URL, headers={"X-SFTPGO-API-KEY": key} if key else {})
        self._token = ""

    def status(self) -> dict[str, Any]:
        """SFTPGo's ServicesStatus. Raises httpx's errors, Failed for what is no JSON."""
        response = self._get()
        if response.status_code == httpx.codes.UNAUTHORIZED and settings.SFTPGO_USER:
            self._token = self._new_token()
            response = self._get()
        return json_object(response)

    def _get(self) -> httpx.Response:
        return self._http.get(STATUS, headers={"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _new_token(self) -> str:
        credentials = b64encode(f"{settings.SFTPGO_USER}:{settings.SFTPGO_PASSWORD}".encode()).decode()
        answer = json_object(self._http.get(TOKEN, headers={"Authorization": f"Basic {credentials}"}))
        return str(answer.get("access_token", ""))

    def close(self) -> None:
        """End the connection, also one that another thread is waiting on."""
        self._http.close()


def client() -> SftpgoClient | None:
    """A client, None where the platform has no SFTPGo."""
    return SftpgoClient() if settings.SFTPGO_URL else None


def inspect(client: SftpgoClient | None) -> Sftpgo:
    """Which services are active. Raises Degraded where the data provider does not work, Unasked without SFTPGo."""
    if client is None:
        raise Unasked("disabled: SFTPGO_URL is not set", UNKNOWN)
    status = client.status()
    provider = "ok" if _is_active(status, "data_provider") else "error"
    found: Sftpgo = {
        "services": {
            "sftp": _word(status, "ssh"),
            "ftp": _word(status, "ftp"),
            "webdav": _word(status, "webdav"),
        },
        "data_provider": provider,
    }
    if provider == "error":
        raise Degraded("its data provider is down", found)
    return found


def _is_active(status: dict[str, Any], part: str) -> bool:
    found = status.get(part)
    return isinstance(found, dict) and found.get("is_active") is True


def _word(status: dict[str, Any], part: str) -> str:
    return "ok" if _is_active(status, part) else "disabled"
