"""The specification (tests/contract/), held key by key, type by type and word by word against a running platform."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.demo.process import until
from consistency.registry import CHECKS
from tests.config.demos import Served, serve

CONTRACT = Path(__file__).parent / "contract"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TYPES = {"string": str, "integer": int, "int": int, "boolean": bool, "object": dict}
WORDS = {"services.*.status": {"ok", "error", "degraded"}, "status": {"ok", "degraded"}}


def contract(name: str) -> Any:
    return json.loads((CONTRACT / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo, served: nothing of it is ours to break but by `stopped`."""
    demo = serve(tmp_path_factory.mktemp("contract"))
    yield demo
    demo.process.terminate()
    demo.process.wait(30)


def get(platform: Served, path: str, **headers: str) -> tuple[int, Message, Any]:
    request = urllib.request.Request(f"{platform.address}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers, json.load(answer)


def body(platform: Served, path: str) -> Any:
    status, _, answer = get(platform, path, **{"X-API-Key": platform.key})
    assert status == 200
    return answer


def assert_like(sample: Any, live: Any, where: str) -> None:
    """The live value has the sample's keys, in its order, and its types; a null may be a boolean once it is known."""
    if isinstance(sample, dict):
        assert isinstance(live, dict), where
        assert [key for key in live if key in sample] == list(sample), where
        for key, value in sample.items():
            assert_like(value, live[key], f"{where}.{key}")
    elif isinstance(sample, list):
        assert isinstance(live, list), where
        for item in live:
            for expected in sample[:1]:
                assert_like(expected, item, f"{where}[]")
    elif sample is None:
        assert live in (None, True, False), where
    elif isinstance(sample, float):
        assert type(live) in (int, float), where
    else:
        assert type(live) is type(sample), where
        if isinstance(sample, str) and TIMESTAMP.fullmatch(sample):
            assert TIMESTAMP.fullmatch(live), where


# --- Samples ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sample", "path"),
    [("health", "/health"), ("health_detailed", "/health/detailed"), ("health_consistency", "/health/consistency")],
)
def test_a_live_answer_has_the_samples_keys_order_and_types(platform: Served, sample: str, path: str) -> None:
    assert_like(contract(sample), body(platform, path), path)


def test_health_has_the_five_fields_and_nothing_else(platform: Served) -> None:
    answer = body(platform, "/health")
    assert list(answer) == list(contract("health"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer["version"])
    assert re.fullmatch(r"[0-9a-f]{8}|unknown", answer["build_git_hash"])


def test_detailed_has_the_very_processors_and_services_of_the_sample(platform: Served) -> None:
    sample, live = contract("health_detailed"), body(platform, "/health/detailed")
    assert list(live["pipeline"]["processors"]) == list(sample["pipeline"]["processors"])
    assert list(live["services"]) == list(sample["services"])
    assert set(live) == {*sample, "config", "consistency", "process"}
    assert list(live["config"]) == ["cache", "auto_pipeline", "watcher"]


def test_a_well_service_says_its_status_and_latency_and_nothing_else(platform: Served) -> None:
    for service in body(platform, "/health/detailed")["services"].values():
        assert list(service) == ["status", "latency_ms"]


def test_a_scripts_mismatch_does_not_degrade_the_platform(platform: Served) -> None:
    live = body(platform, "/health/detailed")
    assert (live["status"], live["pipeline"]["scripts_integrity"]["ok"]) == ("ok", False)


# --- Tables ----------------------------------------------------------------------------------------------
def values_at(answer: Any, path: str) -> list[Any]:
    """The values at a dotted path, in which `*` stands for every key."""
    found = [answer]
    for part in path.split("."):
        found = [value for item in found for value in (item.values() if part == "*" else [item[part]])]
    return found


@pytest.mark.parametrize("endpoint", contract("fields"))
def test_each_documented_field_has_its_type_and_its_words(platform: Served, endpoint: str) -> None:
    answer = body(platform, endpoint.removeprefix("GET "))
    for path, field in contract("fields")[endpoint].items():
        for value in values_at(answer, path):
            assert type(value) is TYPES[field["type"]], path
            assert value in WORDS.get(path, {value}) if isinstance(value, str) else True, path


def test_the_four_checks_are_listed_in_order_with_their_severity(platform: Served) -> None:
    listed = [(check["check"], check["severity"]) for check in body(platform, "/health/consistency")["checks"]]
    assert listed == [(row["check"], row["severity"]) for row in contract("checks")]


def test_the_four_checks_have_the_words_of_the_table() -> None:
    for row in contract("checks"):
        assert CHECKS[row["check"]].title == row["description"]


def test_a_row_has_the_four_keys_of_the_sample_and_nothing_else(platform: Served) -> None:
    (sample,) = contract("health_consistency")["checks"][0]["files"]
    checks = body(platform, "/health/consistency")["checks"]
    assert all(check["count"] and check["files"] for check in checks)
    for row in (row for check in checks for row in check["files"]):
        assert list(row) == list(sample)
        assert all(isinstance(value, str) for value in row.values())


def test_the_first_check_says_the_very_words_of_the_sample(platform: Served) -> None:
    (sample,) = contract("health_consistency")["checks"][0]["files"]
    for row in body(platform, "/health/consistency")["checks"][0]["files"]:
        assert (row["status"], row["detail"]) == (sample["status"], sample["detail"])


@pytest.mark.parametrize("row", contract("endpoints"), ids=lambda row: row["endpoint"])
def test_who_may_ask_is_as_the_table_says(platform: Served, row: dict[str, str]) -> None:
    status, headers, answer = get(platform, row["endpoint"])
    if row["auth"] == "Required":
        assert (status, list(answer)) == (401, ["detail"])
        assert headers["WWW-Authenticate"]
    else:
        assert status == 200


# --- Curl lines, verbatim --------------------------------------------------------------------------------
def shell(platform: Served, line: str) -> str:
    environment = os.environ | {"API": platform.address, "KEY": platform.key}
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


LINES = {row["endpoint"]: row["curl"] for row in contract("endpoints") if row["curl"]}


@pytest.mark.needs("bash", "curl", "jq")
def test_the_line_for_health_works_verbatim(platform: Served) -> None:
    assert json.loads(shell(platform, LINES["/health"])) == {"status": "ok", "version": "1.0.0"}


@pytest.mark.needs("bash", "curl", "jq")
def test_the_line_for_consistency_works_verbatim(platform: Served) -> None:
    lines = shell(platform, LINES["/health/consistency"].replace("| jq '", "| jq -c '")).splitlines()
    assert [list(json.loads(line)) for line in lines] == [["check", "severity", "count"]] * 4


@pytest.mark.needs("bash", "curl", "jq")
def test_the_line_for_detailed_is_refused_without_a_key_and_prints_no_null_with_one(platform: Served) -> None:
    line = LINES["/health/detailed"]
    curl, _, _ = line.partition(" | ")
    assert list(json.loads(shell(platform, curl))) == ["detail"]
    printed = shell(platform, line.replace("curl ", 'curl -H "X-API-Key: $KEY" '))
    assert "null" not in printed
    assert json.loads(printed)["status"] == "ok"


# --- Status rules ----------------------------------------------------------------------------------------
COMMANDS = {"postgres": "/bin/postgres", "redis": "valkey-server", "qdrant": "qdrant_server"}


@pytest.mark.parametrize("rule", contract("status_rules"), ids=lambda rule: "+".join(rule["down"]) or "none")
def test_the_overall_status_follows_the_table(platform: Served, rule: dict[str, Any]) -> None:
    stopped = [platform.server(COMMANDS[name]) for name in rule["down"]]
    try:
        for process in stopped:
            pause(process, signal.SIGSTOP)
        assert becomes(platform, rule["status"], rule["down"])
    finally:
        for process in stopped:
            pause(process, signal.SIGCONT)
        assert becomes(platform, "ok", [])


def pause(process: psutil.Process, what: signal.Signals) -> None:
    """Send it to the process and all below it: PostgreSQL's backends live on without their postmaster."""
    for each in [*process.children(recursive=True), process]:
        each.send_signal(what)


def becomes(platform: Served, status: str, down: list[str]) -> bool:
    """Whether both addresses come to say so, and go on saying it: two workers learn of a change one after the other."""
    in_a_row = 0
    for _ in until(30, step=0.1):
        in_a_row = in_a_row + 1 if says(platform) == (status, status, down) else 0
        if in_a_row == 10:
            return True
    return False


def says(platform: Served) -> tuple[str, str, list[str]]:
    detailed = body(platform, "/health/detailed")
    down = [name for name, service in detailed["services"].items() if service["status"] == "error"]
    return body(platform, "/health")["status"], detailed["status"], down
