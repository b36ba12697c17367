"""What the demo says on stdout, paragraph by paragraph."""

from pathlib import Path

from config.demo import plan
from config.demo.credentials import ADMINISTRATOR
from consistency.history.recorder import Recorded
from consistency.scan.report import Outcome, Report

# The first and the last are the contract's own lines.
TRIES = [
    """curl "$API/health" | jq '{status, version}'""",
    """curl -s "$API/health/detailed" -H "X-API-Key: $KEY" | jq '{status, services}'""",
    """curl -s "$API/health/consistency" -H "X-API-Key: $KEY" | jq '.checks[] | {check, severity, count}'""",
]


def loaded(files: int) -> list[str]:
    """After the sample platform has been loaded: what was put there on purpose."""
    return [
        f"Loaded a sample platform of {files:,} files, in which these are wrong on purpose:",
        *(f"{count:>8,}  {check}" for check, count in sorted(plan.expected(files).items())),
    ]


def kept(files: int, wanted: int | None, data: Path) -> list[str]:
    """When the sample platform was there already."""
    lines = [f"Kept the sample platform of {files:,} files in {data}, with every change made since."]
    if wanted not in (None, files):
        lines.append(f"--files {wanted} changes nothing: to start afresh, remove {data} or name another with --data.")
    return lines


def found(report: Report, recorded: Recorded) -> list[str]:
    """What a scan of all checks came to, and what of the recorded one, which asks what cron asks, is news."""
    affected = "" if report.affected_files is None else f" in {report.affected_files:,} files"
    news = str(recorded.scan.news) if recorded.scan else f"not recorded: {recorded.problem}"
    recording = f"Recorded, as cron does, of the {len(recorded.report.outcomes)} checks that run by default: {news}"
    return [f"The scan found{affected}:", *map(_line, report.outcomes), recording]


def _line(outcome: Outcome) -> str:
    count = "-" if outcome.count is None else f"{outcome.count:,}"
    told = f"could not run: {outcome.error}" if outcome.error else outcome.check.title
    return f"{count:>8}  {outcome.check.severity.word:<5}  {outcome.check.name:<23}  {told}"


def shadowed(process: int) -> list[str]:
    """When another demo of this checkout was there before: whose servers other commands ask."""
    return [f"Other commands in this folder go on asking the demo that was started before (process {process})."]


def entrance(url: str, password: str, key: str, revoked: int) -> list[str]:
    """Once it is served: where, for whom, and what to try. Password and key are new each time."""
    return [
        *[f"Address        {url}/", f"Admin          {url}/admin/", f"Administrator  {ADMINISTRATOR}"],
        *[f"Password       {password}", f"API key        {key}"],
        *(["The password and the API key of the last run are no longer valid."] if revoked else []),
        "\nTry, in another terminal:",
        f"  export API={url} KEY={key}",
        *(f"  {line}" for line in TRIES),
        "\nPlain HTTP on loopback with made-up data: for a look, not for production. Ctrl-C ends all of it.",
    ]
