"""The reports of health. JSON, the OpenAPI document and the command's JSON come from the same serializers."""

from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Final, get_args, get_origin, get_type_hints, is_typeddict

from django.conf import settings
from rest_framework import serializers

from health.build import utc
from health.lateness import lateness
from health.registry import PROBES, Probe
from health.runs.result import DEGRADED, ERROR, OK, ProbeResult, overall
from health.snapshot import snapshot

DISABLED: Final = "disabled"
# The order of the contract. Sections of other apps follow.
ORDER: Final = ("services", "resources", "pipeline", "schema", "identities", "config", "integrations")
FIELDS: Final[dict[Any, type[serializers.Field[Any, Any, Any, Any]]]] = {
    bool: serializers.BooleanField,
    int: serializers.IntegerField,
    float: serializers.FloatField,
    str: serializers.CharField,
}
CONTAINERS: Final[dict[Any, Any]] = {list: serializers.ListField, dict: serializers.DictField}


class AliveSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField([OK])


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField([OK, DEGRADED], help_text="`ok` if all essential services are healthy")
    version = serializers.CharField(help_text="Semver version")


class SummarySerializer(HealthSerializer):
    build_git_hash = serializers.CharField(help_text="Git commit hash")
    build_timestamp = serializers.CharField(help_text="Build time, UTC")
    uptime_ms = serializers.IntegerField(help_text="Milliseconds since server start")


class ProcessSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField([OK, DEGRADED], help_text="`degraded` while this process gets too little CPU time")
    reason = serializers.CharField(allow_null=True)


class ProbeSerializer(serializers.Serializer[Any]):
    """Serializes the result of one probe; `probe_serializer` adds the fields."""

    _probe: ClassVar[Probe]

    def get_attribute(self, instance: Any) -> ProbeResult:
        result: ProbeResult = instance["results"][self._probe.name]
        return result

    def to_representation(self, instance: ProbeResult) -> Any:
        values = dict(instance.value or {})
        if "latency_ms" in self.fields:
            is_disabled = "checked_at" in self.fields and instance.note is not None
            values["status"] = DISABLED if is_disabled else instance.status
            values["latency_ms"] = None if is_disabled else instance.latency_ms
            values["checked_at"] = utc(instance.checked_at.timestamp())
        if instance.reason and (self._probe.is_service or instance.status == ERROR or not instance.known):
            values["error"] = instance.reason
        return super().to_representation(values)


@cache
def probe_serializer(probe: Probe) -> type[ProbeSerializer]:
    """Return the serializer of a probe: status and latency of a service, otherwise the keys of its TypedDict.

    A probe without section has status, latency, time and keys. Keys are null if the probe knows no values.
    """
    fields: dict[str, Any] = {}
    statuses = [OK, DEGRADED, ERROR]
    if probe.section is None:
        fields["status"] = serializers.ChoiceField([*statuses, DISABLED])
        fields["latency_ms"] = serializers.IntegerField(allow_null=True)
        fields["checked_at"] = serializers.DateTimeField()
    elif probe.is_service:
        fields["status"] = serializers.ChoiceField(statuses)
        fields["latency_ms"] = serializers.IntegerField(help_text="Response time in milliseconds")
    fields |= {name: _field(hint, allow_null=True) for name, hint in (probe.keys or {}).items()}
    fields.setdefault("error", serializers.CharField(required=False, help_text="Short reason; absent if all is well"))
    return type(f"{_camel(probe.name)}Health", (ProbeSerializer,), {"_probe": probe, "__doc__": probe.title, **fields})


@cache
def report_serializer(probes: tuple[Probe, ...]) -> Any:
    """Return a serializer of {"status", "version", "results", "process"}, with probes in the order of the contract.

    `results` maps names of probes to ProbeResult. Only `to_representation` is used, which is safe in many threads.
    A new serializer per request would take milliseconds.
    """
    tree: dict[str, Any] = {}
    for probe in sorted(probes, key=_place):
        *above, last = (probe.section or probe.name).split(".")
        inner = tree
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = probe_serializer(probe)
    tree["process"] = ProcessSerializer
    return _group("DetailedHealth", HealthSerializer, tree)()


def _place(probe: Probe) -> int:
    top = (probe.section or probe.name).partition(".")[0]
    return ORDER.index(top) if top in ORDER else len(ORDER)


def _group(name: str, base: type[serializers.Serializer[Any]], members: Mapping[str, Any]) -> Any:
    def field(key: str, member: Any) -> Any:
        if isinstance(member, dict):
            return _group(name + _camel(key), serializers.Serializer, member)(source="*")
        return member()

    # DRF serializes fields in the order of their creation.
    return type(name, (base,), {key: field(key, member) for key, member in members.items()})


def _field(hint: Any, **options: Any) -> Any:
    if hint in FIELDS:
        return FIELDS[hint](**options)
    if is_typeddict(hint):
        return _typed_dict_serializer(hint)(**options)
    *_, inner = (argument for argument in get_args(hint) if argument is not NoneType)
    if (origin := get_origin(hint)) in CONTAINERS:
        return CONTAINERS[origin](child=_field(inner), **options)
    return _field(inner, **options | {"allow_null": True})  # a union with None


@cache
def _typed_dict_serializer(hint: Any) -> Any:
    fields = {name: _field(value) for name, value in get_type_hints(hint).items()}
    return type(hint.__name__, (serializers.Serializer,), fields)


def _camel(name: str) -> str:
    return name.title().replace("_", "")


def detailed(*, budget: float, fresh: bool = False) -> dict[str, Any]:
    """Return the report of /health/detailed, after a refresh of at most `budget` seconds."""
    names = [name for name, probe in PROBES.items() if probe.section]
    results = snapshot.refresh(names, budget=budget, fresh=fresh)
    return report(results, overall(results[name] for name in names if PROBES[name].essential))


def report(results: Mapping[str, ProbeResult], status: str) -> dict[str, Any]:
    """Return a report on these probes."""
    seconds = lateness.late()
    reason = f"overloaded, {seconds:.1f} s late" if seconds else None
    process = {"status": DEGRADED if seconds else OK, "reason": reason}
    instance = {"status": status, "version": settings.VERSION, "results": results, "process": process}
    return dict(report_serializer(tuple(PROBES[name] for name in results)).to_representation(instance))


def sftpgo(*, budget: float) -> dict[str, Any]:
    """Return the report of /api/v1/stats/sftpgo."""
    result = snapshot.refresh(["sftpgo"], budget=budget)["sftpgo"]
    return dict(probe_serializer(PROBES["sftpgo"])(result).data)
