"""The messages of the demo on stdout, as lists of lines."""

from pathlib import Path

from config.demo.accounts import ADMINISTRATOR
from config.demo.sample_contents import expected_counts
from config.demo.scans import Recorded, Report

# The first and the last line come from the contract.
EXAMPLES = [
    """curl "$API/health" | jq '{status, version}'""",
    """curl -s "$API/health/detailed" -H "X-API-Key: $KEY" | jq '{status, services}'""",
    """curl -s "$API/health/consistency" -H "X-API-Key: $KEY" | jq '.checks[] | {check, severity, count}'""",
]


def loaded(files: int) -> list[str]:
    """Describe a new sample platform and the planted problems."""
    return [
        f"Loaded a sample platform of {files:,} files, in which these are wrong on purpose:",
        *(f"{count:>8,}  {check}" for check, count in sorted(expected_counts(files).items())),
    ]


def kept(files: int, wanted: int | None, data: Path) -> list[str]:
    """Describe a sample platform of an earlier start."""
    lines = [f"Kept the sample platform of {files:,} files in {data}, with every change made since."]
    if wanted not in (None, files):
        lines.append(f"--files {wanted} changes nothing: to start afresh, remove {data} or name another with --data.")
    return lines


def scanned(report: Report, recorded: Recorded) -> list[str]:
    """Describe a scan of all checks, and the changes of the recorded scan."""
    affected = "" if report.affected_files is None else f" in {report.affected_files:,} files"
    lines = [f"The scan found{affected}:"]
    for outcome in report.outcomes:
        count = "-" if outcome.count is None else f"{outcome.count:,}"
        text = f"could not run: {outcome.error}" if outcome.error else outcome.check.title
        lines.append(f"{count:>8}  {outcome.check.severity.word:<5}  {outcome.check.name:<23}  {text}")
    changes = str(recorded.scan.changes) if recorded.scan else f"not recorded: {recorded.problem}"
    checks = len(recorded.report.outcomes)
    return [*lines, f"Recorded a scan of the {checks} default checks, compared with the scan before: {changes}"]


def other_demo(process: int) -> list[str]:
    """Say which demo's servers other commands use."""
    return [f"Other commands in this folder go on using the demo that was started before (process {process})."]


def access(url: str, password: str, key: str, revoked: int) -> list[str]:
    """Give the addresses, the new credentials and examples."""
    return [
        f"Address        {url}/",
        f"Admin          {url}/admin/",
        f"Administrator  {ADMINISTRATOR}",
        f"Password       {password}",
        f"API key        {key}",
        *(["The password and the API key of the last run are no longer valid."] if revoked else []),
        "\nTry, in another terminal:",
        f"  export API={url} KEY={key}",
        *(f"  {line}" for line in EXAMPLES),
        "\nPlain HTTP on loopback with made-up data: for a look, not for production. Ctrl-C ends all of it.",
    ]
