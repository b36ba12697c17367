"""GET /health/consistency, asked as a program asks it: with an API key, over TLS."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from config.access import keys
from consistency.api.streams import MOST, FindingStream
from consistency.registry import CHECKS
from consistency.scan.engine import CHUNK_SIZE
from consistency.scan.formats import STREAM_FORMATS
from consistency.scan.selection import default_checks, tags
from tests.consistency.api.data import Ask, report_reader
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job

pytestmark = pytest.mark.usefixtures("transactional_db")

CONTRACT = Path(__file__).parents[1] / "contract"
NDJSON, CSV = "application/x-ndjson", "text/csv"


@pytest.fixture
def get() -> Ask:
    return report_reader()


def test_it_needs_credentials() -> None:
    answer = Client().get("/health/consistency", secure=True)
    assert answer.status_code == 401
    assert list(answer.json()) == ["detail"]
    assert answer["WWW-Authenticate"]


def test_it_answers_as_the_contract_says_and_with_its_keys_first(get: Ask) -> None:
    for number in range(3):
        a_file(f"abc123{number}", "processing")
    answer = get()
    report, sample = answer.json(), json.loads((CONTRACT / "health_consistency.json").read_text())
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert report["status"] == sample["status"]
    table = json.loads((CONTRACT / "checks.json").read_text())
    assert [(check["check"], check["severity"]) for check in report["checks"]] == [
        (check["check"], check["severity"]) for check in table
    ]
    assert [CHECKS[check["check"]].title for check in table] == [check["description"] for check in table]
    [wanted], found = sample["checks"], report["checks"][0]
    assert {key: found[key] for key in ("check", "severity", "count")} == {
        key: wanted[key] for key in ("check", "severity", "count")
    }
    assert [list(row) for row in found["files"]] == [list(wanted["files"][0])] * 3
    assert found["files"][0] | {"file_name": "", "file_uuid": ""} == wanted["files"][0] | {
        "file_name": "",
        "file_uuid": "",
    }


def test_it_adds_what_the_design_adds_and_nothing_else(get: Ask) -> None:
    report = get().json()
    assert list(report) == ["status", "checked_at", "complete", "affected_files", "checks"]
    assert [list(check) for check in report["checks"]] == [
        ["check", "severity", "count", "acknowledged", "muted", "truncated", "duration_ms", "hint", "files"]
    ] * 4


def test_a_check_that_could_not_run_has_no_count_and_says_why(get: Ask, define: Define) -> None:
    def raises() -> Any:
        raise RuntimeError("secret of /srv/continuity")

    define("raises", raises)
    report = get("?check=raises,stale_processing").json()
    stale, broken = report["checks"]
    assert (report["status"], report["complete"], report["affected_files"]) == ("degraded", False, None)
    assert (broken["count"], broken["error"], broken["files"]) == (None, "unexpected error", [])
    assert (stale["count"], "error" in stale) == (0, False)
    assert set(broken) == {*stale, "error"}


@pytest.mark.parametrize("accept", ["*/*", "application/json", NDJSON, CSV])
def test_nobody_may_keep_an_answer_or_guess_at_its_type(get: Ask, accept: str) -> None:
    answer = get(accept=accept)
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"].partition(";")[0] == ("application/json" if accept == "*/*" else accept)


@pytest.mark.parametrize("accept", ["*/*", NDJSON, CSV])
def test_head_is_answered_without_a_body_and_other_methods_are_not(get: Ask, accept: str) -> None:
    answer = get(accept=accept, method="head")
    assert (answer.status_code, answer.body) == (200, "")
    assert answer["Content-Type"] == get(accept=accept)["Content-Type"]
    for method in ("post", "put", "patch", "delete", "options"):
        answer = get(accept=accept, method=method)
        assert (answer.status_code, answer["Allow"], list(answer.json())) == (405, "GET, HEAD", ["detail"])


# --- Parameters ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("query", "rows"), [("", 100), ("?limit=0", 0), ("?limit=7", 7), ("?limit=10000", 120)])
def test_limit_bounds_the_rows_and_not_the_count(get: Ask, query: str, rows: int) -> None:
    for number in range(120):
        a_file(f"file {number:03}", "unregistered")
    found = get(query).json()["checks"][3]
    assert (found["count"], len(found["files"]), found["truncated"]) == (120, rows, rows < 120)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?check=unknown_status", ["unknown_status"]),
        ("?check=unknown_status&check=stale_processing", ["stale_processing", "unknown_status"]),
        ("?check=unknown_status,stale_processing", ["stale_processing", "unknown_status"]),
        ("?tag=jobs", ["duplicate_active_jobs", "job_without_file"]),
        ("?tag=jobs,vocabulary", ["unknown_status", "duplicate_active_jobs", "job_without_file"]),
        ("?tag=vocabulary&check=stale_processing", ["stale_processing", "unknown_status"]),
    ],
)
def test_checks_are_chosen_by_name_and_tag(get: Ask, query: str, names: list[str]) -> None:
    assert [check["check"] for check in get(query).json()["checks"]] == names


@pytest.mark.parametrize("accept", ["*/*", NDJSON, CSV])
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?limit=-1", "limit must be one whole number from 0 to 10000."),
        ("?limit=10001", "limit must be one whole number from 0 to 10000."),
        ("?limit=00000000000000000000001", "limit must be one whole number from 0 to 10000."),
        ("?limit=ten", "limit must be one whole number from 0 to 10000."),
        ("?limit=", "limit must be one whole number from 0 to 10000."),
        ("?limit=1&limit=2", "limit must be one whole number from 0 to 10000."),
        ("?limit=%D9%A1", "limit must be one whole number from 0 to 10000."),
        ("?check=stale_procesing", "Did you mean 'stale_processing'? Allowed: stale_processing, orphaned_processing,"),
        ("?check=", "unknown check ''."),
        ("?tag=job", f"Did you mean 'jobs'? Allowed: {', '.join(tags())}."),
        ("?limt=5", "unknown parameter 'limt'. Did you mean 'limit'? Allowed: limit, check, tag."),
        ("?format=csv", "unknown parameter 'format'."),
    ],
)
def test_a_bad_parameter_is_told_what_is_allowed(get: Ask, query: str, words: str, accept: str) -> None:
    answer = get(query, accept)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert words in answer.json()["detail"]


def test_a_type_that_we_do_not_speak_is_406(get: Ask) -> None:
    answer = get(accept="application/xml")
    assert (answer.status_code, list(answer.json())) == (406, ["detail"])


def test_checks_that_are_switched_on_come_after_the_contracts(get: Ask, settings: Any) -> None:
    settings.CONSISTENCY_CHECKS = ["job_without_file"]
    a_job(1, "running", of="gone")
    assert [check["check"] for check in get().json()["checks"]][4:] == ["job_without_file"]
    assert get().json()["checks"][4]["files"] == [
        {"object_type": "job", "object_id": "1", "detail": "no file has the file_uuid 'gone'"}
    ]


def test_a_name_in_the_setting_that_no_check_has_is_a_check_that_could_not_run(get: Ask, settings: Any) -> None:
    settings.CONSISTENCY_CHECKS = ["nope", "job_without_file", "nope"]
    told = get().json()
    assert (told["status"], told["complete"]) == ("degraded", False)
    assert [check["check"] for check in told["checks"]][4:] == ["job_without_file", "nope"]
    assert told["checks"][5]["error"] == "unknown check name in CONSISTENCY_CHECKS"
    assert not any("error" in check for check in told["checks"][:5])
    assert not json.loads(get(accept=NDJSON).body.splitlines()[-1])["complete"]
    assert get("?check=job_without_file").json()["complete"]


# --- Streams ---------------------------------------------------------------------------------------------
def test_ndjson_and_csv_stream_every_row_and_say_at_the_end_that_it_was_all(get: Ask) -> None:
    for number in range(150):
        a_file(f"file {number:03}", "unregistered")
    *rows, last = [json.loads(line) for line in get(accept=NDJSON).body.splitlines()]
    assert [row["file_uuid"] for row in rows] == [f"file {number:03}" for number in range(150)]
    assert (last["complete"], last["checks"][3]["count"]) == (True, 150)
    records = list(csv.reader(get(accept=CSV).body.splitlines()))
    assert [record[4] for record in records[1:-1]] == [f"file {number:03}" for number in range(150)]
    assert records[-1][0] == "# complete: true"
    assert len(get("?limit=5", NDJSON).body.splitlines()) == 6


def test_a_stream_too_many_is_told_to_come_back(get: Ask) -> None:
    others = [FindingStream(default_checks(), None, STREAM_FORMATS["csv"]) for _ in range(MOST)]
    answer = get(accept=NDJSON)
    for other in others:
        other.close()
    assert (answer.status_code, answer["Retry-After"], list(answer.json())) == (503, "30", ["detail"])
    assert get(accept=NDJSON).status_code == 200


def test_a_client_that_goes_away_frees_the_stream_even_before_the_first_piece(get: Ask) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'a name', 'unregistered' FROM generate_series(1, %s) n",
            [3 * CHUNK_SIZE],
        )
    client = Client()
    _, secret = keys.issue("leaves early", days=1)
    for pieces in (0, 1):
        answer: Any = client.get("/health/consistency", secure=True, headers={"X-API-Key": secret, "Accept": NDJSON})
        for _ in zip(range(pieces), answer.streaming_content, strict=False):
            pass
        answer.close()
        assert get(accept=CSV).status_code == 200


def test_a_stream_without_postgresql_is_503_before_the_first_byte(get: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()  # kept: who asks can still be told
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)
    answer = get(accept=NDJSON)
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert "127.0.0.1" not in answer.body
    assert int(answer["Retry-After"]) > 0
