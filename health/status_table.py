"""The verdicts as a table for people: colours on a terminal, plain text anywhere else."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from health.registry import Probe
from health.verdict import DEGRADED, ERROR, OK, Verdict

STYLES: Final = {OK: "green", DEGRADED: "yellow", ERROR: "red"}
# What a file or a pipe gets: wide enough that no line is folded.
WIDTH: Final = 250


def table(
    probes: Mapping[str, Probe],
    verdicts: Mapping[str, Verdict],
    status: str,
    deciding: Sequence[str],
    failing: Sequence[str],
    *,
    terminal: bool,
) -> str:
    """One line per probe with its status, latency and what it says, then the overall status, who decides it, and
    which others fail the command all the same.
    """
    rows = Table(box=None, pad_edge=False)
    for heading in ("PROBE", "STATUS", "MS", ""):
        rows.add_column(heading, justify="right" if heading == "MS" else "left")
    for name, verdict in verdicts.items():
        rows.add_row(name, _coloured(verdict.status), str(verdict.latency_ms), Text(says(probes[name], verdict)))
    decided = f" ({', '.join(deciding)} {'decides' if len(deciding) == 1 else 'decide'})"
    others = [f"\n{name} fails this command: {says(probes[name], verdicts[name])}" for name in failing]
    ending = Text.assemble("\nOverall: ", _coloured(status), decided, *others)
    return _rendered(Group(rows, ending), terminal=terminal)


def says(probe: Probe, verdict: Verdict) -> str:
    """What was found; the title, which claims that all is well, only where that was asked and is so."""
    return verdict.reason or verdict.note or probe.title


def listed(probes: Mapping[str, Probe]) -> str:
    """One line per probe: its name, whether the overall status or the exit code depends on it, and its title."""
    rows = Table(box=None, pad_edge=False, show_header=False)
    for probe in probes.values():
        rows.add_row(probe.name, _weight(probe), Text(probe.title))
    return _rendered(rows, terminal=False)


def _weight(probe: Probe) -> str:
    if probe.essential:
        return "essential"
    return "fails check_health" if probe.fails_command else ""


def _coloured(status: str) -> Text:
    return Text(status, STYLES[status])


def _rendered(what: RenderableType, *, terminal: bool) -> str:
    # Not its `capture`, which touches standard output all the same.
    text = StringIO()
    Console(file=text, force_terminal=terminal, width=None if terminal else WIDTH).print(what)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
