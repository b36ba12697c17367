"""What review remembers: each scan, passes too; each anomaly, healthy rows never; each agreed silence."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import connections, models
from django.db.models import Case, Expression, Func, Q, Value, When
from django.db.models.functions import Cast, Collate, Left
from django.utils import timezone

from common.text import printable
from consistency.registry import CHECKS, Severity

OPEN = Q(resolved_at__isnull=True)
AGREED = OPEN & Q(acknowledged_until__isnull=False)
ASSIGNED = Q(assigned_kind__isnull=False)
NO_FILE = ~Q(object_type="file")

STARTS = 100
"""Characters of an identifier or a name that an index holds: a whole one may be longer than an index can."""


def starting(field: str) -> Collate:
    """The first characters of a text, by bytes: what an index finds by their beginning."""
    return Collate(Left(field, STARTS), "C")


WITHIN = "|"
"""Between the parts of a kind."""


def kind() -> Func:
    """What a list can be asked for, but times and texts, in one: see `consistency.history.kinds`."""
    back = Case(When(returned_count__gt=0, then=Value("back")), default=Value(""))
    agreed = Case(When(AGREED, then=Value("agreed")), default=Value(""))
    assigned = Case(When(assignee__isnull=False, then=Value("assigned")), default=Value(""))
    return _joined("check_name", "database", Cast("severity", models.TextField()), "state", back, agreed, assigned)


def assigned_kind() -> Func:
    """The same of one person; null while it is assigned to nobody."""
    return _joined(kind(), "assignee")


def _joined(first: str | Func, *others: str | Expression) -> Func:
    parts = (first, *(word for part in others for word in (Value(WITHIN), part)))
    return Func(*parts, template="(%(expressions)s)", arg_joiner=" || ", output_field=models.TextField())


class Trigger(models.TextChoices):
    """Through which door a scan came."""

    COMMAND = "command"
    API = "api"
    ADMIN = "admin"


class State(models.TextChoices):
    """Where an anomaly stands after the last scan whose check completed."""

    NEW = "new"
    ONGOING = "ongoing"
    RETURNED = "returned"
    RESOLVED = "resolved"


class Hearing(models.TextChoices):
    """Whether an anomaly was silent, acknowledged or with its whole check, when a scan last saw it."""

    HEARD = "heard"
    SILENT = "silent"
    AGAIN = "again"
    """Heard, and silent when it was seen before."""


class MuteEnd(models.TextChoices):
    """Why a mute is over."""

    TIME = "time"
    CLEAN = "clean"
    EXCEEDED = "exceeded"
    REPLACED = "replaced"
    UNMUTED = "unmuted"


class AboutCheck(models.Model):
    """A row about a check on a database, by names only: history outlives code."""

    check_name = models.TextField("check")
    database: "models.TextField[str, str]"

    class Meta:
        abstract = True

    @property
    def retired(self) -> bool:
        """Whether nothing asks it any more: no such check is defined, or no such database configured."""
        return self.check_name not in CHECKS or self.database not in connections


class Scan(models.Model):
    """One recorded scan, passes included."""

    database = models.TextField()
    recorded_at = models.DateTimeField()
    snapshot_at = models.DateTimeField(null=True, help_text="The database's time; none where it was not asked.")
    trigger = models.TextField(choices=Trigger.choices)
    actor = models.TextField(help_text="The OS user, the user's or the key's name.")
    complete = models.BooleanField()
    status = models.TextField(choices=[(word, word) for word in ("ok", "degraded")])
    duration_ms = models.PositiveIntegerField()
    affected_files = models.BigIntegerField(null=True)
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
            models.Index(fields=["complete", "-id"], name="scan_completeness"),
            models.Index(fields=["database", "-id"], condition=Q(complete=True), name="scan_complete"),
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.database}"


class ScanCheck(AboutCheck):
    """What one check came to in one scan."""

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="checks")
    database = models.TextField(help_text="The scan's: what a check came to there is found by index.")
    severity = models.PositiveSmallIntegerField(choices=[(level.value, level.word) for level in Severity])
    outcome = models.TextField(choices=[(word, word.replace("_", " ")) for word in ("clean", "found", "could_not_run")])
    count = models.BigIntegerField(null=True)
    acknowledged = models.PositiveIntegerField(default=0)
    muted = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()
    error = models.TextField(blank=True, default="")
    doubted = models.BooleanField(
        default=False, db_default=False, help_text="Whether two looks differed: what about, stays as it was."
    )
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


class Anomaly(AboutCheck):
    """A finding with a memory."""

    database = models.TextField()
    object_type = models.TextField()
    object_id = models.TextField()
    severity = models.PositiveSmallIntegerField(choices=[(level.value, level.word) for level in Severity])
    detail = models.TextField(help_text="As it was when last seen.")
    file_uuid = models.TextField(null=True, blank=True)
    file_name = models.TextField(null=True, blank=True)
    status = models.TextField("file's status", null=True, blank=True)
    state = models.TextField(choices=State.choices)
    first_seen = models.DateTimeField()
    appeared_at = models.DateTimeField(help_text="When it was news last: first seen, or back.")
    appeared_scan = models.BigIntegerField(help_text="Number of the scan that it was news in; that one may be pruned.")
    last_seen = models.DateTimeField()
    last_scan = models.BigIntegerField(help_text="Number of the scan that saw it last; that one may be pruned.")
    times_seen = models.PositiveIntegerField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    returned_count = models.PositiveIntegerField()
    acknowledged_by = models.TextField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_until = models.DateTimeField(null=True, blank=True)
    acknowledged_reason = models.TextField(null=True, blank=True)
    assignee = models.TextField(null=True, blank=True)
    note = models.TextField(blank=True, default="", db_default="")
    hearing = models.TextField(
        choices=Hearing.choices, default=Hearing.HEARD, db_default=Hearing.HEARD, help_text="When last seen."
    )
    acts: "ArrayField[list[int], list[int]]" = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=[],
        help_text="Numbers of the lines in the admin's log that are about it and others.",
    )
    kind = models.GeneratedField(expression=kind(), output_field=models.TextField(), db_persist=True)
    assigned_kind = models.GeneratedField(
        expression=assigned_kind(), output_field=models.TextField(null=True), db_persist=True
    )

    class Meta:
        verbose_name_plural = "anomalies"
        default_permissions = ("view",)
        permissions = (("acknowledge_anomaly", "Can acknowledge, assign and annotate anomalies"),)
        ordering = ("-appeared_at", "-id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["check_name", "database", "object_type", "object_id"], name="anomaly_one_per_object"
            )
        ]
        # Every list is read by the first four, kind by kind: of all or of one person, by when they were news or by
        # when they were resolved. That costs a row that comes, or goes on for the first time (its kind); from then on,
        # a scan that sees it again changes nothing that an index holds, and PostgreSQL may leave them all alone (HOT).
        indexes: ClassVar = [
            models.Index(fields=["kind", "-appeared_at", "-id"], name="anomaly_kind"),
            models.Index(
                fields=["kind", "-resolved_at", "-appeared_at", "-id"], condition=~OPEN, name="anomaly_kind_resolved"
            ),
            models.Index(fields=["assigned_kind", "-appeared_at", "-id"], condition=ASSIGNED, name="anomaly_assigned"),
            models.Index(
                fields=["assigned_kind", "-resolved_at", "-appeared_at", "-id"],
                condition=ASSIGNED & ~OPEN,
                name="anomaly_assigned_resolved",
            ),
            models.Index(fields=["check_name", "database"], condition=OPEN, name="anomaly_open"),
            models.Index(
                fields=["acknowledged_until", "database", "check_name"], condition=AGREED, name="anomaly_acknowledged"
            ),
            models.Index(fields=["appeared_scan", "appeared_at"], name="anomaly_news_of_scan"),
            models.Index(starting("file_uuid"), name="anomaly_file_uuid"),
            models.Index(starting("file_name"), name="anomaly_file_name"),
            models.Index(starting("object_id"), condition=NO_FILE, name="anomaly_object_id"),
        ]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.object_type} {printable(self.object_id)}"


class Mute(AboutCheck):
    """An agreed silence of one check on one database; past ones stay."""

    database = models.TextField(default="default")
    created_at = models.DateTimeField()
    by = models.TextField()
    reason = models.TextField()
    until = models.DateTimeField()
    sticky = models.BooleanField(default=False, help_text="Whether it holds however many there are, and when clean.")
    mark = models.BigIntegerField(null=True, help_text="More findings than this end it; falls as things improve.")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(choices=MuteEnd.choices, null=True, blank=True)

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
    def over(self) -> bool:
        """Whether nothing is left to end, though no scan may have noted yet that its time is over."""
        return self.ended_at is not None or self.until <= timezone.now()
