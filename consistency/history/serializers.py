"""Serialize scans, checks, anomalies and mutes: for REST, the show commands and exports."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from consistency.models.history import Anomaly, AnomalyEvent, Category, Mute, MuteEnd, Scan, ScanCheck, State
from consistency.registry import Severity
from consistency.scan.serializers import SEVERITIES, InstantField, ReportSerializer

RETIRED = "True if the check is no longer defined."


class SeverityField(serializers.ChoiceField):
    """Severity as a word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=SEVERITIES, **options)

    def to_representation(self, value: Any) -> str:
        return Severity(value).word


class MuteSerializer(serializers.ModelSerializer[Mute]):
    """A mute in force."""

    created_at = InstantField()
    until = InstantField()

    class Meta:
        model = Mute
        fields = read_only_fields = ("by", "reason", "created_at", "until", "sticky", "mark")


class AcknowledgementSerializer(serializers.Serializer[Anomaly]):
    """An acknowledgement in force."""

    by = serializers.CharField(source="acknowledged_by")
    at = InstantField(source="acknowledged_at")
    until = InstantField(source="acknowledged_until")
    reason = serializers.CharField(source="acknowledged_reason")
    category = serializers.ChoiceField(source="acknowledged_category", choices=Category.choices, allow_null=True)


class CommentSerializer(serializers.ModelSerializer[AnomalyEvent]):
    """A comment of a person."""

    at = InstantField()

    class Meta:
        model = AnomalyEvent
        fields = read_only_fields = ("at", "by", "text")


class AnomalySerializer(serializers.ModelSerializer[Anomaly]):
    """One anomaly of `queries.with_comments`. The context holds `mutes`, the mutes in force."""

    check = serializers.CharField(source="check_name")
    retired = serializers.BooleanField(help_text=RETIRED)
    severity = SeverityField()
    state = serializers.ChoiceField(choices=State.values)
    first_seen = InstantField()
    appeared_at = InstantField(help_text="Time when last found new or returned.")
    last_seen = InstantField()
    times_seen = serializers.IntegerField(min_value=0)
    resolved_at = InstantField(allow_null=True)
    resolved_scan = serializers.IntegerField(allow_null=True, help_text="Scan that resolved the anomaly.")
    needs_review = serializers.BooleanField(
        help_text="True if open, not suppressed, and not reviewed since found or returned."
    )
    reviewed_at = InstantField(allow_null=True, help_text="Review since last found new or returned.")
    acknowledged = serializers.SerializerMethodField(help_text="null without an acknowledgement in force.")
    muted_until = InstantField(allow_null=True, help_text="End of the mute of the check; null without one.")
    muted_by = serializers.CharField(allow_null=True, help_text="Author of that mute.")
    muted_reason = serializers.CharField(allow_null=True, help_text="Reason of that mute.")
    comments = CommentSerializer(many=True, help_text="Oldest first.")

    class Meta:
        model = Anomaly
        fields = read_only_fields = (
            "id", "database", "check", "retired", "severity", "object_type", "object_id", "file_uuid", "file_name",
            "status", "detail", "state", "first_seen", "appeared_at", "last_seen", "times_seen", "resolved_at",
            "resolved_scan", "returned_count", "needs_review", "reviewed_at", "acknowledged", "muted_until", "muted_by",
            "muted_reason", "assignee", "comments",
        )  # fmt: skip

    @extend_schema_field(AcknowledgementSerializer(allow_null=True))
    def get_acknowledged(self, anomaly: Anomaly) -> dict[str, Any] | None:
        return dict(AcknowledgementSerializer(anomaly).data) if anomaly.is_acknowledged else None

    def to_representation(self, instance: Anomaly) -> dict[str, Any]:
        """Add to the row the mute of the check, and whether the row needs review."""
        mute = mute_of(instance, self.context["mutes"])
        row: Any = instance
        row.muted_until, row.muted_by, row.muted_reason = (mute.until, mute.by, mute.reason) if mute else (None,) * 3
        row.needs_review = needs_review(instance, mute)
        data: dict[str, Any] = super().to_representation(instance)
        return data


def mute_of(anomaly: Anomaly, mutes: Iterable[Mute]) -> Mute | None:
    """Return the mute that suppresses an open anomaly."""
    if anomaly.resolved_at:
        return None
    key = (anomaly.database, anomaly.check_name)
    return next((mute for mute in mutes if (mute.database, mute.check_name) == key), None)


def needs_review(anomaly: Anomaly, mute: Mute | None) -> bool:
    """Return True if the anomaly matches `queries.needs_review`; `mute` is the mute of the anomaly."""
    return not (anomaly.resolved_at or anomaly.reviewed_at or anomaly.is_acknowledged or mute)


class ScanCheckSerializer(serializers.ModelSerializer[ScanCheck]):
    """Result of a check in a scan."""

    check = serializers.CharField(source="check_name")
    retired = serializers.BooleanField(help_text=RETIRED)
    severity = SeverityField()
    error = serializers.SerializerMethodField(help_text="null if the check ran.")

    class Meta:
        model = ScanCheck
        fields = read_only_fields = (
            "check", "retired", "severity", "outcome", "count", "acknowledged", "muted", "duration_ms", "error", "new",
            "returned", "resolved", "ongoing",
        )  # fmt: skip

    def get_error(self, check: ScanCheck) -> str | None:
        return check.error or None


class ScanSerializer(serializers.ModelSerializer[Scan]):
    """A recorded scan with the results of the checks."""

    recorded_at = InstantField()
    snapshot_at = InstantField(allow_null=True)
    checks = ScanCheckSerializer(many=True)

    class Meta:
        model = Scan
        fields = read_only_fields = (
            "id", "database", "recorded_at", "snapshot_at", "trigger", "actor", "status", "complete", "duration_ms",
            "affected_files", "new", "returned", "resolved", "ongoing", "checks",
        )  # fmt: skip


class EndedMuteSerializer(serializers.Serializer[Any]):
    """A mute, ended by the scan."""

    check = serializers.CharField()
    by = serializers.CharField()
    reason = serializers.CharField(help_text="Reason of the mute.")
    because = serializers.ChoiceField(choices=[MuteEnd.TIME.value, MuteEnd.CLEAN.value, MuteEnd.EXCEEDED.value])
    count = serializers.IntegerField(help_text="Findings of this scan.")
    mark = serializers.IntegerField(allow_null=True, help_text="More findings end the mute.")


class RecordedSerializer(serializers.Serializer[Any]):
    """Number and changes of the recorded scan."""

    scan = serializers.IntegerField()
    new = serializers.IntegerField()
    returned = serializers.IntegerField()
    resolved = serializers.IntegerField()
    mutes_ended = EndedMuteSerializer(many=True)


class RecordedReportSerializer(ReportSerializer):
    """Report of a scan with the recording; `recorded` is null and `problem` present if nothing was recorded."""

    recorded = RecordedSerializer(allow_null=True)
    problem = serializers.CharField(required=False)


class CheckSerializer(serializers.Serializer[Any]):
    """A check with the last recorded result and the mute."""

    check = serializers.CharField()
    retired = serializers.BooleanField(help_text=RETIRED)
    severity = serializers.ChoiceField(choices=SEVERITIES)
    title = serializers.CharField(allow_null=True, help_text="null for a retired check, like hint and tags.")
    hint = serializers.CharField(allow_null=True)
    runbook = serializers.URLField(allow_null=True, help_text="From CONSISTENCY_RUNBOOKS; null without one.")
    tags = serializers.ListField(child=serializers.CharField(), allow_null=True)
    default = serializers.BooleanField(help_text="True if every report runs the check.")
    scan = serializers.IntegerField(allow_null=True, help_text="Last recorded scan of the check.")
    scanned_at = InstantField(allow_null=True)
    outcome = serializers.CharField(allow_null=True)
    count = serializers.IntegerField(allow_null=True)
    acknowledged = serializers.IntegerField(allow_null=True, help_text="Acknowledged now.")
    muted = serializers.IntegerField(allow_null=True, help_text="Muted now, beside the acknowledged ones.")
    new = serializers.IntegerField(allow_null=True)
    returned = serializers.IntegerField(allow_null=True)
    resolved = serializers.IntegerField(allow_null=True)
    mute = MuteSerializer(allow_null=True, help_text="The mute in force.")
