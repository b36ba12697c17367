"""What the snapshot says, in the contract's words: the two reports about health and the one about SFTPGo."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.conf import settings

from health.build import build, uptime_ms, utc
from health.registry import PROBES, Probe
from health.sftpgo import UNKNOWN
from health.snapshot import snapshot
from health.verdict import ERROR, Verdict, overall

# The contract's order; what another app adds comes after.
ORDER: Final = ("services", "resources", "pipeline", "schema", "identities", "config", "integrations")
DISABLED: Final = "disabled"

Report = dict[str, Any]


def summary() -> Report:
    """The report of /health: five fields, from what is known already."""
    own = build()
    snapshot.ensure()
    return {
        "status": snapshot.status(),
        "version": settings.VERSION,
        "build_git_hash": own.git_hash,
        "build_timestamp": own.timestamp,
        "uptime_ms": uptime_ms(),
    }


def detailed(*, budget: float, fresh: bool = False) -> Report:
    """The report of /health/detailed, after asking anew for at most `budget` seconds whatever is no longer young."""
    names = [name for name, probe in PROBES.items() if probe.section]
    verdicts = snapshot.ask(names, budget=budget, fresh=fresh)
    return assembled(verdicts, overall(verdicts[name] for name in names if PROBES[name].essential))


def assembled(verdicts: Mapping[str, Verdict], status: str) -> Report:
    """A report of these probes."""
    return {"status": status, "version": settings.VERSION} | sections(verdicts)


def sections(verdicts: Mapping[str, Verdict]) -> Report:
    """The sections of these probes, in the contract's order; a probe without one has a section of its own name."""
    found: Report = {}
    for name in sorted(verdicts, key=_place):
        probe = PROBES[name]
        *above, last = (probe.section or name).split(".")
        inner = found
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = (section if probe.section else standing)(probe, verdicts[name])
    return found


def section(probe: Probe, verdict: Verdict) -> Report:
    """One probe's section: a service's status and latency, or its values, all of them null where it has none."""
    if probe.keys is None:
        reason = {"error": verdict.reason} if verdict.reason else {}
        return {"status": verdict.status, "latency_ms": verdict.latency_ms} | reason
    values = verdict.value if verdict.value is not None else dict.fromkeys(probe.keys)
    return dict(values) | ({"error": verdict.reason} if verdict.status == ERROR else {})


def sftpgo(*, budget: float) -> Report:
    """The report of /api/v1/stats/sftpgo."""
    verdict = snapshot.ask(["sftpgo"], budget=budget)["sftpgo"]
    if verdict.value is None:
        verdict = replace(verdict, value=UNKNOWN)
    return standing(PROBES["sftpgo"], verdict)


def standing(probe: Probe, verdict: Verdict) -> Report:
    """A report of one probe alone: its section, with its status and age; `disabled` where nothing was asked."""
    was_asked = verdict.note is None
    return {
        "status": verdict.status if was_asked else DISABLED,
        "latency_ms": verdict.latency_ms if was_asked else None,
        "checked_at": utc(verdict.checked_at.timestamp()),
    } | section(probe, verdict)


def _place(name: str) -> int:
    top = (PROBES[name].section or name).partition(".")[0]
    return ORDER.index(top) if top in ORDER else len(ORDER)
