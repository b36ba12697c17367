"""The README is true: its tables are complete and its examples run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from consistency.models import File
from consistency.registry import CHECKS
from health.registry import PROBES

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
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", (ROOT / "requirements.txt").read_text(), re.M)
    assert len(pinned) > 10
    assert [name for name in pinned if name not in README] == []


def test_every_requirement_is_pinned() -> None:
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert re.fullmatch(r"|#.*|-r .*|[a-zA-Z0-9-]+(\[[a-z,-]+\])?==[0-9][0-9a-z.]*( #.*)?", line), line


def test_its_version_is_the_one_that_health_reports() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", settings.VERSION)


# --- Examples --------------------------------------------------------------------------------------------
@pytest.fixture
def registries() -> Iterator[None]:
    """What an example registers is forgotten after the test."""
    checks, probes = dict(CHECKS), dict(PROBES)
    yield
    for registry, before in ((CHECKS, checks), (PROBES, probes)):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]  # each gets back what was its own


def example(marker: str) -> dict[str, object]:
    """Run the two blocks below the marker, definition and tests; returns the tests by name."""
    definition, tests = re.findall(r"```python\n(.*?)```", README.partition(f"<!-- {marker} -->")[2], re.S)[:2]
    names: dict[str, object] = {"__name__": marker}
    exec(definition, dict(names))  # noqa: S102 - the README is ours
    exec(tests, names)  # noqa: S102
    return {name: value for name, value in names.items() if name.startswith("test_")}


@pytest.mark.django_db
@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("marker", "number"), [("add-a-check", 2), ("add-a-probe", 1)])
def test_its_example_of_a_definition_passes_its_example_of_a_test(marker: str, number: int) -> None:
    tests = example(marker)
    assert len(tests) == number
    for name, test in tests.items():
        assert callable(test), name
        test()
        File.objects.all().delete()
