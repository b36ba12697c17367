"""The status of SFTPGo, from the body of its status page: the page answers 200 even if the data provider is dead."""

from base64 import b64encode
from typing import Any, Final, TypedDict

import httpx
from django.conf import settings

from health.probes.http_client import json_object, new_client
from health.registry import Degraded, NotApplicable

STATUS_PATH: Final = "/api/v2/status"
TOKEN_PATH: Final = "/api/v2/token"  # noqa: S105 - no password


class Services(TypedDict):
    sftp: str | None
    ftp: str | None
    webdav: str | None


class Sftpgo(TypedDict):
    services: Services
    data_provider: str | None


UNKNOWN: Sftpgo = {"services": {"sftp": None, "ftp": None, "webdav": None}, "data_provider": None}


class SftpgoClient:
    """Sends an API key, or the token of an administrator, which is kept until SFTPGo refuses the token."""

    def __init__(self) -> None:
        key = settings.SFTPGO_API_KEY
        self._http = new_client(settings.SFTPGO_URL, headers={"X-SFTPGO-API-KEY": key} if key else {})
        self._token = ""

    def status(self) -> dict[str, Any]:
        """Return SFTPGo's ServicesStatus. Raise httpx's errors, and Failed for a body that is not JSON."""
        response = self._get_status()
        if response.status_code == httpx.codes.UNAUTHORIZED and settings.SFTPGO_USER:
            self._token = self._new_token()
            response = self._get_status()
        return json_object(response)

    def _get_status(self) -> httpx.Response:
        return self._http.get(STATUS_PATH, headers={"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _new_token(self) -> str:
        credentials = b64encode(f"{settings.SFTPGO_USER}:{settings.SFTPGO_PASSWORD}".encode()).decode()
        answer = json_object(self._http.get(TOKEN_PATH, headers={"Authorization": f"Basic {credentials}"}))
        return str(answer.get("access_token", ""))

    def close(self) -> None:
        """Close the connection, even while another thread waits for an answer."""
        self._http.close()


def sftpgo_client() -> SftpgoClient | None:
    """Return a client; None if SFTPGO_URL is not set."""
    return SftpgoClient() if settings.SFTPGO_URL else None


def inspect_sftpgo(client: SftpgoClient | None) -> Sftpgo:
    """Return the active services. Raise Degraded if the data provider is down, NotApplicable without SFTPGo."""
    if client is None:
        raise NotApplicable("disabled: SFTPGO_URL is not set", UNKNOWN)
    status = client.status()
    has_provider = _is_active(status, "data_provider")
    values: Sftpgo = {
        "services": {
            "sftp": _state(status, "ssh"),
            "ftp": _state(status, "ftp"),
            "webdav": _state(status, "webdav"),
        },
        "data_provider": "ok" if has_provider else "error",
    }
    if not has_provider:
        raise Degraded("its data provider is down", values)
    return values


def _is_active(status: dict[str, Any], service: str) -> bool:
    details = status.get(service)
    return isinstance(details, dict) and details.get("is_active") is True


def _state(status: dict[str, Any], service: str) -> str:
    return "ok" if _is_active(status, service) else "disabled"
