"""The README is true: its tables are complete and its examples run."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from tests.servers import Shared

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
READ_BY_SETTINGS = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))


def documented() -> set[str]:
    """The variables of the README's table of settings."""
    table = README.partition("### Settings")[2].partition("\n## ")[0]
    return {name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`([A-Z_]+)`", row)}


def test_it_documents_every_variable_that_the_settings_read() -> None:
    assert READ_BY_SETTINGS - documented() == set()


def test_it_documents_no_variable_that_nothing_reads() -> None:
    assert documented() - READ_BY_SETTINGS == {"DATABASE_URL"}  # read through a function, with DATABASE_URL_<NAME>


def test_it_names_every_dependency_beyond_the_card() -> None:
    text = "".join((ROOT / file).read_text() for file in ("requirements-production.txt", "requirements.txt"))
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", text, re.M)
    assert len(pinned) > 10
    assert [name for name in pinned if name not in README] == []


def test_every_requirement_is_pinned() -> None:
    for file in ("requirements-production.txt", "requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert re.fullmatch(r"|#.*|-r .*|[a-zA-Z0-9-]+(\[[a-z,-]+\])?==[0-9][0-9a-z.]*( #.*)?", line), line


def test_its_version_is_the_one_that_health_reports() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", settings.VERSION)


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 3
    assert [name for name in pictures if (ROOT / name).stat().st_size > 100_000] == []


# --- Examples --------------------------------------------------------------------------------------------
def files(marker: str) -> dict[str, str]:
    """The two files below the marker, definition and test, by the names that their first lines give."""
    blocks = re.findall(r"```python\n(# (\w+\.py).*?)```", README.partition(f"<!-- {marker} -->")[2], re.S)[:2]
    return {name: content for content, name in blocks}


def test_its_examples_are_an_app_whose_tests_pass(
    tmp_path: Path, postgres_server: Shared, valkey_server: Shared
) -> None:
    """As a newcomer does it: an app in a folder of its own, named in the settings, and a run of pytest."""
    app = tmp_path / "newcomer"
    app.mkdir()
    (app / "__init__.py").touch()
    for marker in ("add-a-check", "add-a-probe"):
        for name, content in files(marker).items():
            (app / name).write_text(content)
    (tmp_path / "newcomers_settings.py").write_text(
        "from config.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'newcomer']\n"
    )
    options = ["-p", "tests.servers", "-p", "no:cacheprovider", "-W", "error", "--ds", "newcomers_settings", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), "-c", os.devnull, str(app)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            # The run's own servers, with another database: starting new ones would take longer than all else.
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
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
