"""Render the results of all probes as a table, with colours on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from common.output import new_table, render
from health.registry import Probe
from health.runs.result import DEGRADED, ERROR, OK, ProbeResult

STYLES: Final = {OK: "green", DEGRADED: "yellow", ERROR: "red"}


def table(
    probes: Mapping[str, Probe],
    results: Mapping[str, ProbeResult],
    status: str,
    deciding: Sequence[str],
    failing: Sequence[str],
    *,
    terminal: bool,
    colour: bool,
) -> str:
    """Return a line per probe, the overall status, the deciding probes, and further probes that fail the command."""
    rows = new_table("PROBE", "STATUS", "MS", "", numbers=["MS"])
    for name, result in results.items():
        rows.add_row(name, _coloured(result.status), str(result.latency_ms), Text(message(probes[name], result)))
    verb = "decides" if len(deciding) == 1 else "decide"
    further = [f"\n{name} fails this command: {message(probes[name], results[name])}" for name in failing]
    summary = Text.assemble("\nOverall: ", _coloured(status), f" ({', '.join(deciding)} {verb})", *further)
    return render(rows, summary, terminal=terminal, colour=colour)


def message(probe: Probe, result: ProbeResult) -> str:
    """Return the reason or the note of a result, else the title of the probe."""
    return result.reason or result.note or probe.title


def list_probes(probes: Mapping[str, Probe]) -> str:
    """Return a line per probe: name, effect on the overall status or the exit code, title."""
    rows = new_table("", "", "")
    rows.show_header = False
    for probe in probes.values():
        rows.add_row(probe.name, _effect(probe), Text(probe.title))
    return render(rows)


def _effect(probe: Probe) -> str:
    if probe.essential:
        return "essential"
    return "fails check_health" if probe.fails_command else ""


def _coloured(status: str) -> Text:
    return Text(status, STYLES[status])
