"""The history in tables of our own: scans, anomalies with their events, mutes, and background tasks."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from common.text import printable
from consistency.models.choices import ACKNOWLEDGEMENT_EVENTS as ACKNOWLEDGEMENT_EVENTS
from consistency.models.choices import Category as Category
from consistency.models.choices import EventKind as EventKind
from consistency.models.choices import MuteEnd as MuteEnd
from consistency.models.choices import State as State
from consistency.models.choices import Trigger as Trigger
from consistency.models.conditions import NEEDS_REVIEW as NEEDS_REVIEW
from consistency.models.conditions import OPEN as OPEN
from consistency.models.conditions import cause, prefix
from consistency.models.tasks import BackgroundTask as BackgroundTask
from consistency.registry import CHECKS, Severity

SEVERITY_CHOICES = [(level.value, level.word) for level in Severity]


class CheckRecord(models.Model):
    """A row about one check on one database. Both are stored by name, since history outlives code."""

    check_name = models.TextField("check")
    database: "models.TextField[str, str]"

    class Meta:
        abstract = True

    @property
    def retired(self) -> bool:
        """Return True if the check is no longer defined."""
        return self.check_name not in CHECKS


class Scan(models.Model):
    """One recorded scan."""

    database = models.TextField()
    recorded_at = models.DateTimeField()
    snapshot_at = models.DateTimeField(null=True, help_text="Time of the database; null if the database was not read.")
    trigger = models.TextField(choices=Trigger.choices)
    actor = models.TextField(help_text="Name of the OS user, the user or the API key.")
    complete = models.BooleanField()
    status = models.TextField(choices=[(word, word) for word in ("ok", "degraded")])
    duration_ms = models.PositiveIntegerField()
    affected_files = models.BigIntegerField(null=True)
    baseline = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="State of the data that later scans compare with.",
    )
    new = models.PositiveIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0)
    resolved = models.PositiveIntegerField(default=0)
    ongoing = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("scan_now", "Can start a scan"),)
        indexes: ClassVar = [
            models.Index(fields=["database", "-snapshot_at"], name="scan_newest_snapshot"),
            models.Index(fields=["recorded_at"], name="scan_recorded_at"),
            models.Index(fields=["database", "-id"], name="scan_of_database"),
            models.Index(fields=["database", "-id"], condition=Q(complete=True), name="scan_complete"),
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.database}"


class ScanCheck(CheckRecord):
    """Result of one check in one scan."""

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="checks")
    database = models.TextField(help_text="Database of the scan, repeated for the indexes.")
    severity = models.PositiveSmallIntegerField(choices=SEVERITY_CHOICES)
    outcome = models.TextField(choices=[(word, word.replace("_", " ")) for word in ("clean", "found", "could_not_run")])
    count = models.BigIntegerField(null=True, help_text="Open anomalies after the scan; null if the check did not run.")
    run = models.PositiveIntegerField(null=True, help_text="Number of this run of the check; null if it did not run.")
    acknowledged = models.PositiveIntegerField(default=0)
    muted = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()
    error = models.TextField(blank=True, default="")
    new = models.PositiveIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0)
    resolved = models.PositiveIntegerField(default=0)
    ongoing = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("scan_id", "id")
        default_permissions = ("view",)
        indexes: ClassVar = [
            models.Index(fields=["check_name", "database", "-scan"], name="scancheck_trend"),
            models.Index(
                fields=["check_name", "database", "-scan"], condition=Q(count__isnull=False), name="scancheck_answered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} in scan {self.scan_id}"


class AnomalyManager(models.Manager["Anomaly"]):
    """Annotate each anomaly with the last run of its check, from which state, last_seen and times_seen follow."""

    def get_queryset(self) -> "models.QuerySet[Anomaly]":
        """Return anomalies with `last_run`, `last_scan` and `last_run_at` (null without a run), and `resolved_scan`."""
        last = ScanCheck.objects.filter(
            check_name=OuterRef("check_name"), database=OuterRef("database"), count__isnull=False
        ).order_by("-scan_id")
        # By key, not by a join: PostgreSQL would read the scans from the newest for each anomaly.
        scan = Scan.objects.filter(pk=OuterRef("last_scan")).values(at=Coalesce("snapshot_at", "recorded_at"))
        resolution = AnomalyEvent.objects.filter(pk=OuterRef("resolved_event")).values("scan")
        rows = super().get_queryset().annotate(resolved_scan=Subquery(resolution))
        rows = rows.annotate(last_run=Subquery(last.values("run")[:1]))
        return rows.annotate(last_scan=Subquery(last.values("scan_id")[:1])).annotate(last_run_at=Subquery(scan[:1]))


class Anomaly(CheckRecord):
    """A finding with a history. A scan writes a row only if something changed: see `state` and `last_seen`."""

    database = models.TextField()
    object_type = models.TextField()
    object_id = models.TextField()
    severity = models.PositiveSmallIntegerField(choices=SEVERITY_CHOICES)
    detail = models.TextField(help_text="Detail when last seen.")
    cause = models.GeneratedField(
        expression=cause("detail"),
        output_field=models.TextField(),
        db_persist=True,
        help_text="The detail without its numbers: groups the anomalies of a check.",
    )
    file_uuid = models.TextField(null=True, blank=True)
    file_name = models.TextField(null=True, blank=True)
    status = models.TextField("file's status", null=True, blank=True)
    first_seen = models.DateTimeField()
    appeared_at = models.DateTimeField(help_text="Time when last found new or returned.")
    appeared_scan = models.BigIntegerField(help_text="Number of the scan that found it new or returned.")
    appeared_run = models.PositiveIntegerField(help_text="Number of the run of its check in that scan.")
    appeared_event = models.BigIntegerField(
        unique=True, help_text="Id of the event found or returned: the order of lists."
    )
    reviewed_at = models.DateTimeField(null=True, blank=True, help_text="Review since last found new or returned.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_event = models.BigIntegerField(null=True, blank=True, help_text="Id of the event: the order of lists.")
    returned_count = models.PositiveIntegerField()
    times_seen_before = models.PositiveIntegerField(default=0, help_text="Scans that saw it in earlier open periods.")
    last_seen_before = models.DateTimeField(null=True, help_text="End of the last open period.")
    acknowledged_by = models.TextField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_until = models.DateTimeField(null=True, blank=True)
    acknowledged_reason = models.TextField(null=True, blank=True)
    acknowledged_category = models.TextField(choices=Category.choices, null=True, blank=True)
    assignee = models.TextField(null=True, blank=True)

    objects: ClassVar[AnomalyManager] = AnomalyManager()

    class Meta:
        verbose_name_plural = "anomalies"
        default_permissions = ("view",)
        permissions = (("acknowledge_anomaly", "Can acknowledge, assign and annotate anomalies"),)
        ordering = ("-appeared_event",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["check_name", "database", "object_type", "object_id"], name="anomaly_one_per_object"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["-appeared_event"], condition=OPEN, name="anomaly_open_appeared"),
            models.Index(fields=["-severity", "-appeared_event"], condition=OPEN, name="anomaly_open_severity"),
            models.Index(fields=["-severity", "-appeared_event"], condition=NEEDS_REVIEW, name="anomaly_needs_review"),
            models.Index(
                fields=["check_name", "-severity", "-appeared_event"], condition=OPEN, name="anomaly_open_of_check"
            ),
            models.Index(fields=["check_name", "cause", "-appeared_event"], condition=OPEN, name="anomaly_open_cause"),
            models.Index(fields=["-resolved_event"], condition=~OPEN, name="anomaly_resolved"),
            models.Index(fields=["resolved_at"], condition=~OPEN, name="anomaly_resolved_at"),
            models.Index(fields=["appeared_scan"], name="anomaly_appeared_scan"),
            models.Index(
                fields=["acknowledged_until"],
                condition=Q(acknowledged_until__isnull=False),
                name="anomaly_acknowledged",
            ),
            models.Index(
                fields=["assignee", "-appeared_event"], condition=Q(assignee__isnull=False), name="anomaly_assigned"
            ),
            models.Index(prefix("file_uuid"), name="anomaly_file_uuid"),
            models.Index(prefix("file_name"), name="anomaly_file_name"),
            models.Index(prefix("object_id"), condition=~Q(object_type="file"), name="anomaly_object_id"),
        ]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.object_type} {printable(self.object_id)}"

    def _annotated(self, name: str) -> Any:
        """Return an annotation of the manager, else None."""
        return getattr(self, name, None)

    @property
    def state(self) -> State:
        """Return the state. An open anomaly was seen by the last run of its check."""
        if self.resolved_at:
            return State.RESOLVED
        if self._annotated("last_scan") != self.appeared_scan:
            return State.ONGOING
        return State.RETURNED if self.returned_count else State.NEW

    @property
    def last_seen(self) -> datetime:
        """Return the time of the last run that saw the anomaly."""
        last_run_at: datetime | None = self._annotated("last_run_at")
        if self.resolved_at or last_run_at is None:
            return self.last_seen_before or self.appeared_at
        return max(last_run_at, self.appeared_at)

    @property
    def times_seen(self) -> int:
        """Return the number of runs that saw the anomaly."""
        if self.resolved_at:
            return self.times_seen_before
        return self.times_seen_before + max(0, (self._annotated("last_run") or 0) - self.appeared_run) + 1

    @property
    def is_acknowledged(self) -> bool:
        """Return True while an acknowledgement is in force. The next scan removes an expired one from the row."""
        return not self.resolved_at and bool(self.acknowledged_until and self.acknowledged_until > timezone.now())


class AnomalyEvent(models.Model):
    """One event in the history of an anomaly. Retention deletes the events with their anomaly."""

    # No database constraint: a scan inserts an event per new anomaly, and a check per row would double that cost.
    anomaly = models.ForeignKey(Anomaly, models.CASCADE, related_name="events", db_constraint=False, db_index=False)
    kind = models.TextField(choices=[(kind.value, kind.value.replace("_", " ")) for kind in EventKind])
    at = models.DateTimeField()
    by = models.TextField(blank=True, default="", help_text="Name of the person; empty for a scan.")
    text = models.TextField(blank=True, default="")
    scan = models.BigIntegerField(null=True, help_text="Number of the scan; retention may have deleted it.")

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes: ClassVar = [
            models.Index(fields=["anomaly", "-id"], name="event_of_anomaly"),
            models.Index(fields=["-id"], condition=~Q(by=""), name="event_by_person"),
            models.Index(fields=["anomaly", "-id"], condition=Q(kind=EventKind.COMMENTED), name="event_comment"),
            models.Index(fields=["scan", "kind", "-id"], condition=Q(scan__isnull=False), name="event_of_scan"),
            models.Index(
                fields=["anomaly", "-id"], condition=Q(kind__in=ACKNOWLEDGEMENT_EVENTS), name="event_acknowledgement"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {printable(self.by) or f'scan {self.scan}'}"


class Mute(CheckRecord):
    """Suppression of one check on one database. Ended mutes stay."""

    database = models.TextField(default="default")
    created_at = models.DateTimeField()
    by = models.TextField()
    reason = models.TextField()
    until = models.DateTimeField()
    sticky = models.BooleanField(default=False, help_text="Holds for any number of findings, and while clean.")
    mark = models.BigIntegerField(null=True, help_text="More findings end the mute. Falls as findings are resolved.")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(choices=MuteEnd.choices, null=True, blank=True)
    ended_by = models.TextField(blank=True, default="", db_default="")
    ended_reason = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("mute_check", "Can mute and unmute checks"),)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["database", "check_name"], condition=Q(ended_at__isnull=True), name="mute_one_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"mute of {self.check_name} until {self.until:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def is_over(self) -> bool:
        """Return True after the end, also before a scan has recorded that end."""
        return self.ended_at is not None or self.until <= timezone.now()

    def holds(self, count: int) -> bool:
        """Return True if the mute suppresses a check with `count` findings now."""
        return not self.is_over and (self.sticky or (count > 0 and (self.mark is None or count <= self.mark)))
