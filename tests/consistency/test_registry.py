"""The registry: what a definition must have, and that every one of them has it."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.db.models import Value
from django.test.utils import CaptureQueriesContext

from common.choices import UnknownChoiceError
from consistency.history.scanning import read_scan
from consistency.models import File
from consistency.registry import CHECKS, Check, Finding, Severity, check
from consistency.scan.selection import default_checks, select_checks, tags
from tests.consistency.conftest import Define

EVERY = pytest.mark.parametrize("entry", list(CHECKS.values()), ids=list(CHECKS))


def rows() -> Any:
    """All files"""
    return File.objects.all()


def findings(using: str) -> Iterator[Finding]:
    """Nothing at all"""
    yield from ()


# --- Completeness ----------------------------------------------------------------------------------------
@EVERY
def test_every_check_has_words(entry: Check) -> None:
    assert len(entry.title) > 20
    assert not entry.title.endswith(".")
    assert entry.hint.endswith(".")
    assert len(entry.hint) > 30
    assert entry.tags


@EVERY
def test_every_check_has_a_test_in_pairs(entry: Check) -> None:
    app = entry.function.__module__.partition(".")[0]
    tests = dir(import_module(f"tests.{app}.checks.test_{entry.name}"))
    assert any(name.startswith("test_it_flags") for name in tests)
    assert any(name.startswith("test_it_leaves_alone") for name in tests)


@EVERY
@pytest.mark.usefixtures("transactional_db")
def test_every_check_asks_a_number_of_questions_that_does_not_grow_with_the_findings(entry: Check) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            read_scan([entry], limit=10_000)
        return len(queries)

    load(3)
    few = asked()
    load(300)
    assert asked() == few
    assert few < 20


def load(number: int) -> None:
    """Files, jobs and identities that break every check."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE files, monitor_jobs, identities")
        cursor.execute(
            "INSERT INTO monitor_jobs (id, file_uuid, status)"
            " SELECT n, 'gone ' || n / 2, CASE n %% 3 WHEN 2 THEN 'completed' ELSE 'running' END"
            " FROM generate_series(1, %s) n",
            [number * 6],
        )
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, updated_at, status, job_id) SELECT n::text, 'name', 'infinity',"
            " (ARRAY['processing', 'unregistered', 'ready'])[1 + n %% 3], nullif(n %% 5, 0)"
            " FROM generate_series(1, %s) n",
            [number * 6],
        )
        cursor.execute("INSERT INTO identities (uuid, name) SELECT n, n FROM generate_series(1, %s) n", [number])


# --- Definitions -----------------------------------------------------------------------------------------
def test_a_definition_becomes_a_check_in_the_order_of_definition(define: Define) -> None:
    defined = define("newest", rows)
    assert isinstance(defined, Check)
    assert (defined.name, defined.title, defined.external) == ("newest", "All files", False)
    assert list(CHECKS)[-1] == "newest"
    assert define("outside", findings, detail=None).external


def test_a_check_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        CHECKS["stale_processing"].hint = "Nothing."  # type: ignore[misc]


@pytest.mark.parametrize(
    ("problem", "changes"),
    [
        ("is already defined", {"name": "stale_processing"}),
        ("needs a name", {"name": "Stale"}),
        ("needs a name", {"name": "stale-processing"}),
        ("needs a name", {"name": ""}),
        ("needs a hint", {"hint": " "}),
        ("needs detail if it returns rows", {"detail": None}),
        ("needs detail if it returns rows", {"function": findings}),
        ("needs no row where it returns rows", {"row": lambda object_id: File.objects.none()}),
        ("needs a docstring", {"function": lambda: File.objects.all()}),
    ],
)
def test_a_definition_that_lacks_something_fails_at_import(problem: str, changes: dict[str, Any]) -> None:
    before = dict(CHECKS)
    given: dict[str, Any] = {
        "name": "scratch",
        "hint": "Mend it.",
        "detail": Value("broken"),
        "function": rows,
    } | changes
    function = given.pop("function")
    with pytest.raises(TypeError, match=problem):
        check(given.pop("name"), severity=Severity.WARN, **given)(function)
    assert before == CHECKS


def test_severities_are_ordered_and_have_the_words_of_the_contract() -> None:
    assert Severity.INFO < Severity.WARN < Severity.ERROR
    assert [severity.word for severity in Severity] == ["info", "warn", "error"]


def test_a_definition_is_all_that_a_report_needs(define: Define, settings: Any, db: None) -> None:
    define("newest", rows)
    settings.CONSISTENCY_CHECKS = ["newest"]
    assert default_checks()[-1].name == "newest"
    assert select_checks(with_tags=["scratch"]) == [CHECKS["newest"]]


# --- Choosing --------------------------------------------------------------------------------------------
def test_without_a_choice_the_four_of_the_contract_are_chosen_in_its_order() -> None:
    assert [entry.name for entry in select_checks()] == [
        "stale_processing",
        "orphaned_processing",
        "processing_job_done",
        "unregistered_with_uuid",
    ]


def test_names_and_tags_add_up_in_the_order_of_the_registry(settings: Any) -> None:
    settings.CONSISTENCY_CHECKS = ["unknown_status"]
    assert [entry.name for entry in select_checks()][4:] == ["unknown_status"]
    names = [entry.name for entry in select_checks(["unregistered_with_uuid", "stale_processing"], ["jobs"])]
    assert names == ["stale_processing", "unregistered_with_uuid", "duplicate_active_jobs", "job_without_file"]


@pytest.mark.parametrize(
    ("names", "with_tags", "words"),
    [
        (["stale_procesing"], [], "unknown check 'stale_procesing'. Did you mean 'stale_processing'? Allowed: stale"),
        (["orphaned"], [], "Did you mean 'orphaned_processing'?"),
        ([], ["job"], f"unknown tag 'job'. Did you mean 'jobs'? Allowed: {', '.join(tags())}."),
        (["stale_processing"], ["zzz"], "unknown tag 'zzz'. Allowed: files"),
        ([""], [], "unknown check ''. Allowed:"),
    ],
)
def test_an_unknown_word_is_an_error_that_names_the_nearest(names: list[str], with_tags: list[str], words: str) -> None:
    with pytest.raises(UnknownChoiceError) as problem:
        select_checks(names, with_tags)
    assert words in str(problem.value)
