"""Compare answers with the truth of a row."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.faults.clients import Answer, margin
from tests.faults.platform import FINDINGS
from tests.faults.rows import Row


def status_of(answer: Answer) -> str:
    """Return the status in the answer of /health, or the status of HTTP."""
    return str(answer.body.get("status")) if isinstance(answer.body, dict) else f"{answer.status}"


def sections(answer: Answer) -> dict[str, dict[str, Any]]:
    """Return the sections of a report by dotted name."""
    found: dict[str, dict[str, Any]] = {}
    for name, part in answer.body.items():
        if name in ("services", "integrations"):
            found |= {f"{name}.{inner}": value for inner, value in part.items()}
        elif name == "consistency":  # its status is that of the last scan
            found[name] = {key: value for key, value in part.items() if key == "error"}
        elif isinstance(part, dict) and name != "process":
            found[name] = part
    return found


UNREADY: Final = {"index_ok", "synced", "scripts_ready", "models_ready", "directory_exists", "ok"}


def is_unwell(part: Mapping[str, Any]) -> bool:
    """Return whether a section reports a fault, in its status or in its values."""
    return (
        part.get("status", "ok") != "ok"
        or "error" in part
        or any(part.get(name, True) is not True for name in UNREADY)
        or part.get("scripts_integrity", {}).get("ok", True) is not True
    )


def untrue_sections(row: Row, found: Mapping[str, Mapping[str, Any]], kind: str) -> Iterator[str]:
    for name, part in found.items():
        if name == row.probe:
            yield from _untrue_probe(row, part, kind)
        elif name not in row.affected and is_unwell(part):
            yield f"{kind}: {name} is unwell too: {part.get('error') or part}"


def _untrue_probe(row: Row, part: Mapping[str, Any], kind: str) -> Iterator[str]:
    error = part.get("error") or ""
    if "nexpected error" in error:
        yield f"{kind}: {row.probe} says {error!r}"
    elif row.status and (
        part.get("status", "error" if error else "ok") != row.status or not re.search(row.words, error)
    ):
        yield f"{kind}: {row.probe} is {part.get('status')} {error!r}, not {row.status} {row.words!r}"
    different = {name: part.get(name) for name, value in row.values.items() if part.get(name) != value}
    if different and not re.search("no (recent )?answer", error):
        yield f"{kind}: {row.probe} has {different}, error {error!r}"


def untrue_scan(row: Row, answer: Answer) -> Iterator[str]:
    if answer.seconds > 10 + margin():
        yield f"scan after {answer.seconds:.1f} s"
    complete = answer.body.get("complete") if isinstance(answer.body, dict) else None
    kind = {(200, True): "complete", (200, False): "incomplete", (503, None): "incomplete"}.get(
        (answer.status, complete)
    )
    if row.scan not in ("any", kind):
        yield f"scan is {kind}, not {row.scan}: {answer.status} {answer.text[:100]!r}"
    if kind == "complete" and [check["count"] for check in answer.body["checks"][:2]] != [FINDINGS] * 2:
        yield f"scan has wrong counts: {answer.text[:200]}"
