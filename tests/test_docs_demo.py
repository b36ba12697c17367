"""The examples of README.md and docs/operate.md, line by line on a fresh demo."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from consistency.registry import CHECKS
from tests.config.demos import Served, environment, serve
from tests.documents import PYTHON, ROOT, block

pytestmark = pytest.mark.needs("curl", "jq")

BLOCKS = ("query", "commands", "review", "change", "act", "dry-run")
# Note every command that fails, and go on.
PRELUDE = """touch failed
trap 'printf "%s %s\\n" "$?" "$BASH_COMMAND" >> failed' ERR
"""


def documents(output: str) -> list[Any]:
    """Return the JSON documents that jq printed one after the other."""
    decoder, parsed, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        parsed.append(document)
        rest = rest[end:].lstrip()
    return parsed


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = serve(tmp_path_factory.mktemp("documented"), "--files", 60)
    yield served
    served.process.terminate()
    served.process.wait(30)


@pytest.fixture(scope="module")
def outputs(demo: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the blocks in order in a single shell, as a reader would; return the output of each block."""
    folder = tmp_path_factory.mktemp("shell")
    (password,) = re.findall(r"^Password +(\S+)$", demo.out, re.MULTILINE)
    script = PRELUDE + "".join(f"exec > {marker} 2> {marker}.err\n{block(marker)}" for marker in BLOCKS)
    script = script.replace(PYTHON + " manage.py", f"{sys.executable} {ROOT}/manage.py")
    script = script.replace('"..."', f'"{password}"').replace("--confirm 30s", "--confirm 1s")
    (folder / "script").write_text(script)
    variables = environment(demo.folder) | {"API": demo.address, "KEY": demo.key}
    subprocess.run(["bash", "script"], cwd=folder, env=variables, timeout=300, check=False)
    return {marker: (folder / marker).read_text() for marker in BLOCKS} | {
        "failed": (folder / "failed").read_text(),
        "errors": "".join((folder / f"{marker}.err").read_text() for marker in BLOCKS),
    }


def test_every_command_works_and_a_scan_with_findings_exits_with_1(outputs: dict[str, str]) -> None:
    failures = outputs["failed"].splitlines()
    assert [line for line in failures if not re.match(r"1 .*manage\.py check_consistency", line)] == []
    assert len(failures) == 4
    assert "Traceback" not in outputs["errors"]


def test_the_queries_answer(outputs: dict[str, str]) -> None:
    summary, detailed, *rest = documents(outputs["query"])
    assert summary == {"status": "ok", "version": settings.VERSION}
    assert [service["status"] for service in detailed["services"].values()] == ["ok"] * 3
    assert detailed["resources"]["memory"] > 0
    assert [check["check"] for check in rest[:4]] == [check.name for check in CHECKS.values()][:4]
    assert min(check["count"] for check in rest[:4]) > 0
    assert len(rest) > 4
    assert all(anomaly["id"] and anomaly["detail"] for anomaly in rest[4:])


def test_the_commands_report_what_the_queries_report(outputs: dict[str, str]) -> None:
    lines = outputs["commands"]
    assert re.search(r"^postgres +ok ", lines, re.MULTILINE)
    counts = [{"check": check["check"], "count": check["count"]} for check in documents(outputs["query"])[2:6]]
    assert [json.loads(found) for found in re.findall(r"^\{.*?^\}", lines, re.MULTILINE | re.DOTALL)] == counts
    assert "SELECT count(*)" in lines
    assert re.search(r"^\w{8} +grafana .* active$", lines, re.MULTILINE)


def test_the_review_lists_mutes_and_unmutes(outputs: dict[str, str]) -> None:
    lines = outputs["review"]
    assert re.search(r"^ *\d+ +warn +orphaned_processing ", lines, re.MULTILINE)
    assert re.search(r'^ *"detail": "job \d+ is failed"$', lines, re.MULTILINE)
    assert re.search(r"^orphaned_processing is muted by .* until ", lines, re.MULTILINE)
    assert "\n0 new, 0 returned, 0 resolved\n" in lines


def test_a_row_breaks_and_the_same_row_is_restored(outputs: dict[str, str]) -> None:
    news = re.findall(r"^\d+ new, \d+ returned, \d+ resolved$", outputs["change"], re.MULTILINE)
    assert news == ["1 new, 0 returned, 0 resolved", "0 new, 0 returned, 1 resolved"]


def test_the_acts_answer_with_their_author_and_end_again(outputs: dict[str, str]) -> None:
    acknowledged, mute, *ended = documents(outputs["act"])
    assert (acknowledged["by"], acknowledged["reason"]) == ("admin", "requeued by hand")
    assert (mute["by"], mute["reason"]) == ("admin", "the importer is repaired on Monday")
    assert ended == [None, None]


def test_the_dry_run_prints_that_there_is_no_notice(outputs: dict[str, str]) -> None:
    assert "No notice" in outputs["dry-run"]
