"""Serialize a report: REST, the command's JSON and the OpenAPI schema come from these classes."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.times import format_instant
from consistency.registry import Severity
from consistency.scan.findings import Row
from consistency.scan.report import Outcome, Report

SEVERITIES = [severity.word for severity in Severity]


class InstantField(serializers.DateTimeField):
    """A UTC time without fractions: `2026-05-18T17:30:00Z`."""

    def to_representation(self, value: Any) -> str:
        return format_instant(value)


class FindingSerializer(serializers.Serializer[Any]):
    """One finding. Rows of default checks have the keys of the file only."""

    object_type = serializers.CharField(required=False, help_text="Kind of object; absent in default checks.")
    object_id = serializers.CharField(required=False, help_text="Primary key of the object.")
    file_name = serializers.CharField(required=False, allow_null=True)
    file_uuid = serializers.CharField(required=False, help_text="The three file keys are absent without a file.")
    status = serializers.CharField(required=False, allow_null=True)
    detail = serializers.CharField(help_text="Reason why the row breaks the check.")


@extend_schema_field(FindingSerializer(many=True))
class RowsField(serializers.Field[Any, Any, Any, Any]):
    """Findings as they are: a serializer per row would cost more than the scan."""

    def to_representation(self, value: Any) -> list[Row]:
        return list(value)


class OutcomeSerializer(serializers.Serializer[Outcome]):
    """Result of a check."""

    check = serializers.CharField(source="check.name")
    severity = serializers.ChoiceField(source="check.severity.word", choices=SEVERITIES)
    count = serializers.IntegerField(allow_null=True, min_value=0, help_text="Exact; null if the check could not run.")
    acknowledged = serializers.IntegerField(min_value=0, help_text="Findings with an acknowledged anomaly.")
    muted = serializers.IntegerField(min_value=0, help_text="Further findings, suppressed by a mute of the check.")
    truncated = serializers.BooleanField(help_text="True if there are more findings than rows.")
    duration_ms = serializers.IntegerField()
    hint = serializers.CharField(source="check.hint", help_text="Next step for the operator.")
    muted_until = InstantField(source="mute.until", required=False, help_text="Absent without a mute.")
    muted_by = serializers.CharField(source="mute.by", required=False, help_text="Absent without a mute.")
    muted_reason = serializers.CharField(source="mute.reason", required=False, help_text="Absent without a mute.")
    error = serializers.CharField(required=False, help_text="Reason why the check could not run; absent if it ran.")
    files = RowsField(source="rows", help_text="First findings by primary key.")

    def to_representation(self, instance: Outcome) -> dict[str, Any]:
        """Leave out the keys of an absent mute or error."""
        data: dict[str, Any] = super().to_representation(instance)
        absent = [] if instance.mute else ["muted_until", "muted_by", "muted_reason"]
        absent += [] if instance.error else ["error"]
        return {name: value for name, value in data.items() if name not in absent}


class ReportSerializer(serializers.Serializer[Report]):
    """Report of a scan."""

    status = serializers.ChoiceField(
        choices=["ok", "degraded"],
        help_text="degraded for an unsuppressed finding above info, or a check that could not run.",
    )
    checked_at = InstantField(help_text="Time of the database snapshot.")
    complete = serializers.BooleanField(help_text="True if every check ran.")
    affected_files = serializers.IntegerField(
        allow_null=True, min_value=0, help_text="Distinct files over all checks; null if a check could not run."
    )
    checks = OutcomeSerializer(source="outcomes", many=True)


def report_data(report: Report, *, rows: bool = True) -> dict[str, Any]:
    """Return a report as plain data. Without rows the data ends a stream."""
    data: dict[str, Any] = dict(ReportSerializer(report).data)
    if not rows:
        data["checks"] = [{key: check[key] for key in check if key != "files"} for check in data["checks"]]
    return data
