"""TMDB: requests only if configured and enabled; an answer that refuses the key counts as reachable."""

import http.server
import logging.config
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings

from health.probes.integrations import Tmdb, inspect_tmdb, tmdb_client
from health.registry import PROBES, Failed, NotApplicable
from health.snapshot import Snapshot

V3 = "0123456789abcdef0123456789abcdef"
V4 = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"

CONFIGURATION = b'{"images": {"base_url": "http://image.tmdb.org/t/p/"}, "change_keys": ["adult"]}'
WRONG_KEY = (
    b'{"success": false, "status_code": 7, "status_message": "Invalid API key: You must be granted a valid key."}'
)
TOO_MANY = b'{"status_code": 25, "status_message": "Your request count is over the allowed limit."}'


class Films(http.server.BaseHTTPRequestHandler):
    """TMDB's documented answers for GET /3/configuration."""

    asked: list[str]
    says: tuple[int, bytes] | None
    """Status and body of each answer; None for the documented answers."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append(parts.path)
        right = parse_qs(parts.query).get("api_key") == [V3] or self.headers["Authorization"] == f"Bearer {V4}"
        status, body = self.says or ((200, CONFIGURATION) if right else (401, WRONG_KEY))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://portal.example/login")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def films(settings: Settings) -> Iterator[type[Films]]:
    """Start a TMDB and set its URL and key."""
    handler = type("Films", (Films,), {"asked": [], "says": None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        settings.TMDB_URL = f"http://127.0.0.1:{server.server_port}/3"
        settings.TMDB_API_KEY, settings.TMDB_ENABLED = V3, True
        yield handler
        server.shutdown()


@pytest.fixture
def ask() -> Callable[[], Tmdb]:
    """Return a function that runs the probe on new clients."""

    def run() -> Tmdb:
        client = tmdb_client()
        try:
            return inspect_tmdb(client)
        finally:
            if client:
                client.close()

    return run


@pytest.mark.parametrize("key", [V3, V4])
def test_it_is_reachable_with_a_key_of_either_kind(
    films: type[Films], ask: Callable[[], Tmdb], settings: Settings, key: str
) -> None:
    settings.TMDB_API_KEY = key
    assert ask() == {"api_key_configured": True, "enabled": True, "api_reachable": True}
    assert films.asked == ["/3/configuration"]


def test_a_wrong_key_is_reachable_all_the_same(films: type[Films], ask: Callable[[], Tmdb], settings: Settings) -> None:
    settings.TMDB_API_KEY = "wrong"
    assert ask()["api_reachable"] is True


@pytest.mark.parametrize(
    ("key", "enabled", "said"),
    [("", False, "disabled: TMDB_"), ("", True, "not configured: TMDB_API_KEY"), (V3, False, "disabled: TMDB_")],
)
def test_there_is_no_request_unless_configured_and_enabled(
    films: type[Films], ask: Callable[[], Tmdb], settings: Settings, key: str, enabled: bool, said: str
) -> None:
    settings.TMDB_API_KEY, settings.TMDB_ENABLED = key, enabled
    with pytest.raises(NotApplicable, match=said) as caught:
        ask()
    assert caught.value.value == {"api_key_configured": bool(key), "enabled": enabled, "api_reachable": None}
    assert films.asked == []


def test_a_closed_door_is_unreachable(films: type[Films], ask: Callable[[], Tmdb], settings: Settings) -> None:
    settings.TMDB_URL = "http://127.0.0.1:1/3"
    with pytest.raises(Failed, match="connection refused") as caught:
        ask()
    assert caught.value.value == {"api_key_configured": True, "enabled": True, "api_reachable": False}


def test_a_limit_on_requests_is_an_answer_of_tmdb(films: type[Films], ask: Callable[[], Tmdb]) -> None:
    films.says = 429, TOO_MANY
    assert ask()["api_reachable"] is True


@pytest.mark.parametrize(
    "says",
    [
        (200, b"<html>Accept the terms of this network</html>"),
        (200, b""),
        (200, b"\xff"),
        (200, b"{}"),
        (200, b'["images", "status_code", "status_message"]'),
        (302, b""),
        (401, b'{"status_code": 401}'),
        (403, b"<html>"),
    ],
)
def test_an_answer_that_is_not_of_tmdb_is_unreachable(
    films: type[Films], ask: Callable[[], Tmdb], says: tuple[int, bytes]
) -> None:
    films.says = says
    with pytest.raises(Failed, match="the answer is not TMDB's") as caught:
        ask()
    assert caught.value.value == {"api_key_configured": True, "enabled": True, "api_reachable": False}


def test_a_broken_tmdb_is_unreachable(films: type[Films], ask: Callable[[], Tmdb]) -> None:
    films.says = 503, b"{}"
    with pytest.raises(Failed, match="answered with HTTP 503") as caught:
        ask()
    assert caught.value.value
    assert caught.value.value["api_reachable"] is False


# --- As the platform runs it -----------------------------------------------------------------------------
def test_the_probe_runs_every_quarter_of_an_hour(films: type[Films], snapshot_of: Callable[..., Snapshot]) -> None:
    assert PROBES["tmdb"].ttl == 15 * 60
    snapshot = snapshot_of({"tmdb": PROBES["tmdb"]})
    for _ in range(3):
        assert snapshot.refresh(budget=10)["tmdb"].status == "ok"
    assert films.asked == ["/3/configuration"]


def test_its_key_is_in_no_log(
    films: type[Films], snapshot_of: Callable[..., Snapshot], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = {name: logging.getLogger(name).level for name in settings.LOGGING["loggers"]}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    try:
        logging.config.dictConfig(settings.LOGGING)
        root.setLevel(logging.INFO)
        root.info("logged")
        assert snapshot_of({"tmdb": PROBES["tmdb"]}).refresh(budget=10)["tmdb"].status == "ok"
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
    printed = capsys.readouterr().err
    assert films.asked
    assert "logged" in printed
    assert V3 not in printed


def test_the_settings_are_known_before_and_without_a_run(
    snapshot_of: Callable[..., Snapshot], settings: Settings, dripping_server: str
) -> None:
    expected = {"api_key_configured": True, "enabled": True, "api_reachable": None}
    settings.TMDB_API_KEY, settings.TMDB_ENABLED, settings.TMDB_URL = V3, True, f"http://{dripping_server}"
    snapshot = snapshot_of({"tmdb": PROBES["tmdb"]})
    assert (snapshot.result("tmdb").reason, snapshot.result("tmdb").value) == ("no answer yet", expected)
    result = snapshot.refresh(budget=30)["tmdb"]
    assert result.reason
    assert result.reason.startswith("no answer within")
    assert result.value == expected


def test_the_settings_are_known_although_the_client_cannot_be_created(
    snapshot_of: Callable[..., Snapshot], settings: Settings
) -> None:
    settings.TMDB_API_KEY, settings.TMDB_ENABLED, settings.TMDB_URL = V3, True, "http://[::1"
    result = snapshot_of({"tmdb": PROBES["tmdb"]}).refresh(budget=30)["tmdb"]
    assert result.status == "error"
    assert result.value == {"api_key_configured": True, "enabled": True, "api_reachable": None}
