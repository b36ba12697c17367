"""The reports of /health/detailed, /api/v1/stats/sftpgo and check_health, from the snapshot."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from health.probes.integrations import UNKNOWN
from health.registry import PROBES
from health.runs.result import ProbeResult, overall
from health.serializers import probe_serializer, report_serializer
from health.snapshot import snapshot

JSON = dict[str, Any]


def detailed(*, budget: float, fresh: bool = False) -> JSON:
    """Return the report of /health/detailed, after a refresh of at most `budget` seconds."""
    names = [name for name, probe in PROBES.items() if probe.section]
    results = snapshot.refresh(names, budget=budget, fresh=fresh)
    return report(results, overall(results[name] for name in names if PROBES[name].essential))


def report(results: Mapping[str, ProbeResult], status: str) -> JSON:
    """Return a report on these probes."""
    instance = {"status": status, "version": settings.VERSION, "results": results}
    return dict(report_serializer(tuple(PROBES[name] for name in results)).to_representation(instance))


def sftpgo(*, budget: float) -> JSON:
    """Return the report of /api/v1/stats/sftpgo."""
    result = snapshot.refresh(["sftpgo"], budget=budget)["sftpgo"]
    if result.value is None:
        result = replace(result, value=UNKNOWN)
    return dict(probe_serializer(PROBES["sftpgo"])(result).data)
