"""README.md and docs/: complete tables, valid links, and a test for every code block."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from standardwebhooks import Webhook, WebhookVerificationError

from config.demo import serving
from tests.documents import DOCUMENTS, ROOT, block, blocks, text
from tests.servers import Shared

OPERATE = (ROOT / "docs" / "operate.md").read_text()
DEVELOP = (ROOT / "docs" / "develop.md").read_text()
READ_BY_SETTINGS = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
REQUIREMENTS = ("requirements-production.txt", "requirements.txt", "requirements-dev.txt")


# --- Tables ----------------------------------------------------------------------------------------------
def documented_variables() -> set[str]:
    table = OPERATE.partition("## Settings")[2].partition("\n## ")[0]
    return {name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`([A-Z_]+)`", row)}


def test_every_variable_that_the_settings_read_is_documented() -> None:
    assert READ_BY_SETTINGS - documented_variables() == set()


def test_every_documented_variable_is_read() -> None:
    assert documented_variables() - READ_BY_SETTINGS == set()


def test_every_dependency_is_named_with_a_reason() -> None:
    content = "".join((ROOT / file).read_text() for file in REQUIREMENTS[:2])
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", content, re.M)
    assert len(pinned) > 10
    assert [name for name in pinned if name not in DEVELOP] == []


def test_every_requirement_is_pinned() -> None:
    for file in REQUIREMENTS:
        for line in (ROOT / file).read_text().splitlines():
            assert re.fullmatch(r"|#.*|-r .*|[a-zA-Z0-9-]+(\[[a-z,-]+\])?==[0-9][0-9a-z.]*( #.*)?", line), line


def test_the_version_is_a_semantic_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", settings.VERSION)


# --- Links -----------------------------------------------------------------------------------------------
def test_the_pictures_exist_and_are_small() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", DOCUMENTS[0].read_text())
    assert len(pictures) == 3
    assert [name for name in pictures if (ROOT / name).stat().st_size > 100_000] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_links_lead_to_files_and_headings(document: Path) -> None:
    for target in re.findall(r"\]\(([^):]+)\)", document.read_text()):
        name, _, anchor = target.partition("#")
        page = document.parent / name if name else document
        assert page.is_file(), target
        if not anchor:
            continue
        headings = [re.sub(r"[^\w -]", "", line).lower() for line in re.findall(r"^#+ (.+)$", page.read_text(), re.M)]
        assert anchor in [heading.replace(" ", "-") for heading in headings], target


def test_every_path_that_the_documents_name_exists() -> None:
    code = re.sub(r"```.*?```", "", text(), flags=re.S)
    paths = {path for path in re.findall(r"`([\w.]+/[\w./-]*)`", code) if (ROOT / path.split("/")[0]).exists()}
    assert {"common/", "deploy/continuity.service"} <= paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


# --- Code blocks -----------------------------------------------------------------------------------------
def test_every_code_block_has_a_marker_of_its_own_that_a_test_names() -> None:
    assert len(re.findall(r"^ *```\w*$", text(), re.M)) == 2 * len(blocks())
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert [marker for marker in blocks() if not re.search(f"""["']{marker}["']""", tests)] == []


def test_the_demo_command_installs_as_the_test_command_does() -> None:
    """`.ci/run` runs the test command, and the tests of the demo run `manage.py demo`."""
    install, _, demo = block("run").strip().rpartition(" && ")
    assert block("test").startswith(f"{install} && ")
    assert demo == ".venv/bin/python manage.py demo"
    assert block("install").strip() == install.replace("requirements.txt", "requirements-production.txt")


def test_the_server_command_is_that_of_the_demo_and_of_the_unit() -> None:
    assert block("serve").strip() == ".venv/bin/python manage.py serve"
    assert serving.command(8000)[1:3] == ["manage.py", "serve"]
    unit = (ROOT / "deploy/continuity.service").read_text()
    assert "\nExecStart=/srv/continuity/.venv/bin/python manage.py serve\n" in unit


def test_the_receiver_of_the_webhook_accepts_a_signed_notice_and_no_other() -> None:
    written = subprocess.run(
        ["sh", "-c", block("webhook-secret").replace(".venv/bin/python", sys.executable)],
        capture_output=True,
        text=True,
        check=True,
    )
    secret, body, now = written.stdout.strip(), b'{"event": "consistency.scan"}', datetime.now(UTC)
    headers = {"webhook-id": "1", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign("1", now, body.decode())
    receiver: dict[str, object] = {}
    exec(block("webhook-receiver"), receiver)  # noqa: S102 - the documented code
    receive = receiver["receive"]
    assert callable(receive)
    assert receive(secret, body, headers) == {"event": "consistency.scan"}
    with pytest.raises(WebhookVerificationError):
        receive(secret, body + b" ", headers)


def test_the_example_app_passes_its_tests(tmp_path: Path, postgres_server: Shared, valkey_server: Shared) -> None:
    """Put the example check and probe into an app, name the app in the settings, and run pytest."""
    app = tmp_path / "newcomer"
    app.mkdir()
    (app / "__init__.py").touch()
    for marker in ("add-a-check", "test-a-check", "add-a-probe", "test-a-probe"):
        name = re.match(r"# (\w+\.py)", block(marker))
        assert name
        (app / name[1]).write_text(block(marker))
    (tmp_path / "newcomers_settings.py").write_text(
        "from config.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'newcomer']\n"
    )
    options = ["-p", "tests.servers", "-p", "no:cacheprovider", "-W", "error", "--ds", "newcomers_settings", "-q"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), "-c", os.devnull, str(app)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            # The servers of this run, with a new database: starting servers would take longer than the tests.
            "TEST_DATABASE_URL": urlsplit(postgres_server.url)._replace(path="/newcomer").geturl(),
            "TEST_REDIS_URL": valkey_server.url,
            "TEST_QDRANT_URL": os.environ["QDRANT_URL"],
            "TEST_QDRANT_API_KEY": os.environ["QDRANT_API_KEY"],
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
