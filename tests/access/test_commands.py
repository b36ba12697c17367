"""The API key commands, through their real output and exit codes."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework_api_key.models import APIKey

from common.errors import NOT_MIGRATED
from config.access import keys
from tests.access.conftest import Outage, csrf_form, sign_in, without_tables

ROOT = Path(__file__).resolve().parents[2]
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run manage.py on the tests' own database, as a person would."""
    at = connection.settings_dict
    url = f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    command = [sys.executable, "-W", "error", "manage.py", *arguments]
    environ = {**os.environ, "DATABASE_URL": url} | environment
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def call(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


# --- As processes ----------------------------------------------------------------------------------------
def test_the_whole_life_of_a_key(client: Client, transactional_db: None) -> None:
    made = run("create_api_key", "grafana", "--days", "90")
    assert made.returncode == 0
    secret = made.stdout.strip()
    assert made.stdout == f"{secret}\n"
    assert keys.prefix_of(secret)
    assert re.fullmatch(r"API key \w{8} for 'grafana', good until [\d-]+ [\d:]+ UTC\. Keep it: .*\n", made.stderr)
    assert client.get("/api/whoami", headers={"X-API-Key": secret}).status_code == 200

    listed = run("list_api_keys", "--format", "json")
    entry = json.loads(listed.stdout)[0]
    assert (entry["prefix"], entry["name"], entry["state"]) == (secret[:8], "grafana", "active")

    revoked = run("revoke_api_key", secret[:8])
    assert (revoked.returncode, revoked.stdout) == (0, f"API key {secret[:8]} for 'grafana' is revoked.\n")
    assert client.get("/api/whoami", headers={"X-API-Key": secret}).status_code == 401


def test_an_unknown_prefix_is_a_usage_error_that_names_the_nearest(transactional_db: None) -> None:
    key, _ = keys.issue("grafana", None)
    wrong = f"{key.prefix[:-1]}-"
    answer = run("revoke_api_key", wrong)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"CommandError: No API key has the prefix '{wrong}'. Did you mean {key.prefix}?\n"


@pytest.mark.parametrize("command", [("create_api_key", "x"), ("list_api_keys",), ("revoke_api_key", "x")])
def test_without_a_database_it_is_one_line_and_exit_code_3(command: tuple[str, ...], postgres_server: None) -> None:
    answer = run(*command, DATABASE_URL="postgres://continuity:hidden@127.0.0.1:9/continuity")
    assert (answer.returncode, answer.stdout) == (3, "")
    assert answer.stderr.startswith("CommandError: PostgreSQL (DATABASE_URL) does not answer: ")
    assert answer.stderr.count("\n") == 1
    assert "hidden" not in answer.stderr


@pytest.mark.parametrize("command", [("create_api_key", "x"), ("list_api_keys",), ("revoke_api_key", "x")])
def test_without_tables_it_says_what_to_run(command: tuple[str, ...], transactional_db: None) -> None:
    with without_tables(), pytest.raises(CommandError) as ended:
        call(*command)
    assert (str(ended.value), ended.value.returncode) == (NOT_MIGRATED, 3)


def test_a_read_only_database_is_one_line_and_exit_code_3(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(CommandError, match="refused a statement: PostgreSQL is read-only") as ended:
            call("create_api_key", "x")
    finally:
        connection.close()
    assert ended.value.returncode == 3
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize("command", ["create_api_key", "list_api_keys", "revoke_api_key"])
def test_its_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(command, "--help")
    assert ended.value.code == 0
    assert (
        f"examples:\n  manage.py {'list_api_keys' if command == 'revoke_api_key' else command}"
        in capsys.readouterr().out
    )


# --- In this process -------------------------------------------------------------------------------------
def test_a_key_without_days_never_expires(db: None) -> None:
    _, words = call("create_api_key", "cron")
    assert "good until it is revoked" in words
    assert APIKey.objects.get().expiry_date is None


def test_days_count_from_now(db: None) -> None:
    call("create_api_key", "cron", "--days", "2")
    expires = APIKey.objects.get().expiry_date
    assert expires is not None
    assert abs(expires - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "NAME"),
        (["  "], "1 to 50 printable characters"),
        (["x" * 51], "1 to 50 printable characters"),
        (["a\nb"], "printable"),
        (["x", "--days", "0"], "1 to 36500"),
        (["x", "--days", "-1"], "1 to 36500"),
        (["x", "--days", "9" * 30], "1 to 36500"),
        (["x", "--days", "soon"], "a whole number of days"),
        (["x", "--days", "\u0663"], "a whole number of days"),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments: list[str], expected: str) -> None:
    with pytest.raises(CommandError, match=expected):
        call("create_api_key", *arguments)


def test_a_usage_error_is_exit_code_2() -> None:
    answer = run("create_api_key", "x", "--days", "soon")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "--days: expected a whole number of days" in answer.stderr


def test_the_list_shows_every_state_and_no_hash(db: None) -> None:
    active, _ = keys.issue("good", 30)
    expired, _ = keys.issue("old", 1)
    revoked, _ = keys.issue("gone", None)
    APIKey.objects.filter(prefix=expired.prefix).update(expiry_date=timezone.now() - timedelta(days=1))
    keys.revoke(revoked.prefix)
    text, _ = call("list_api_keys")
    lines = text.splitlines()
    assert lines[0].split() == ["prefix", "name", "created", "expires", "state"]
    assert re.fullmatch(rf"{revoked.prefix}  gone  {STAMP}  never                 revoked", lines[1])
    assert re.fullmatch(rf"{expired.prefix}  old   {STAMP}  {STAMP}  expired", lines[2])
    assert re.fullmatch(rf"{active.prefix}  good  {STAMP}  {STAMP}  active", lines[3])
    as_json, _ = call("list_api_keys", "--format", "json")
    assert [set(entry) for entry in json.loads(as_json)] == [{"prefix", "name", "created", "expires", "state"}] * 3
    for printed in (text, as_json):
        assert "sha512" not in printed


@pytest.mark.parametrize("terminal", [True, False])
def test_a_name_from_the_admin_does_nothing_to_a_terminal(db: None, terminal: bool) -> None:
    name = "red\x9b31m \u202e"
    APIKey.objects.create_key(name=name)
    out = StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    call_command("list_api_keys", "--format", "json", stdout=out)
    assert json.loads(out.getvalue())[0]["name"] == name
    assert ("\x9b" in out.getvalue()) is not terminal


def test_an_empty_list_says_how_to_begin(db: None) -> None:
    assert call("list_api_keys") == ("", "There are no API keys. Create one: manage.py create_api_key NAME\n")
    assert call("list_api_keys", "--format", "json") == ("[]\n", "")


def test_revoking_twice_says_so(db: None) -> None:
    key, _ = keys.issue("grafana", None)
    assert call("revoke_api_key", key.prefix)[0].endswith("is revoked.\n")
    assert call("revoke_api_key", key.prefix)[0].endswith("was revoked already.\n")


def test_a_hanging_database_does_not_hang_the_command(hanging: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.commands.ContinuityCommand.database_timeout", 0.3)
    with hanging(), pytest.raises(CommandError, match="did not answer before the deadline") as ended:
        call("list_api_keys")
    assert ended.value.returncode == 3


# --- The admin -------------------------------------------------------------------------------------------
def test_the_admin_shows_a_new_key_once(client: Client, admin: User) -> None:
    sign_in(client, "root")
    form = csrf_form(client) | {"name": "grafana", "expiry_date_0": "", "expiry_date_1": ""}
    add = "/admin/rest_framework_api_key/apikey/add/"
    answer = client.post(add, form, headers={"Origin": "https://testserver"}, follow=True)
    shown = re.search(r"The API key for grafana is: (\S+)\. ", answer.content.decode())
    assert shown
    assert client.get("/api/whoami", headers={"X-API-Key": shown[1]}).status_code == 200
    assert shown[1] not in client.get("/admin/rest_framework_api_key/apikey/").content.decode()
