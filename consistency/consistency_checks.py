"""Checks of files and jobs: the four checks of the contract, and further checks by tag."""

from django.db.models import Case, Count, DateTimeField, Exists, FilteredRelation, OuterRef, Q, Subquery, When, Window
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from consistency.expressions import HasUniqueIndex, UtcTime, constant, sentence, shown_word, text
from consistency.models import ACTIVE_JOB, File, FileQuerySet, FileStatus, JobStatus, MonitorJob, MonitorJobQuerySet
from consistency.registry import Query, Severity, check

NAMED_JOB = MonitorJob.objects.filter(pk=OuterRef("job_id"))
# Usually the file's own job. With `monitor_jobs` partitioned by file_uuid, PostgreSQL looks in one partition only.
OWN_JOB = NAMED_JOB.of_file(OuterRef("file_uuid"))


def _about_job(words: Combinable, *sources: MonitorJobQuerySet) -> Coalesce:
    """Return words about the named job, from the first source with the job; null without the job."""
    # Without a primary key, several jobs may have the id. The order selects the same job in each scan.
    about = (jobs.annotate(words=words).order_by("words").values("words")[:1] for jobs in sources)
    return Coalesce(*map(Subquery, about))


def _named_job_is_active() -> Exists:
    return Exists(MonitorJob.objects.active().filter(pk=OuterRef("job_id")))


@check(
    "stale_processing",
    severity=Severity.WARN,
    detail=constant("job_id is null"),
    hint="No job will ever finish this file: start its processing again, or set the status it had before.",
    tags=("files",),
    default=True,
)
def stale_processing() -> FileQuerySet:
    """Status=processing but job_id is null"""
    return File.objects.processing().filter(job__isnull=True)


@check(
    "orphaned_processing",
    severity=Severity.WARN,
    detail=Case(
        When(job__isnull=True, then=constant("job_id is null and no job is active")),
        default=sentence(
            "job ",
            text("job_id"),
            Coalesce(
                _about_job(sentence(" is ", shown_word("status")), OWN_JOB, NAMED_JOB), constant(" does not exist")
            ),
        ),
    ),
    hint="Nothing works on this file: start its processing again, or mark it completed if its output exists.",
    tags=("files",),
    default=True,
)
def orphaned_processing() -> FileQuerySet:
    """Status=processing but no active monitor_job"""
    # Two anti joins. An OR inside one Exists is evaluated row by row, eight times slower.
    return File.objects.processing().filter(
        ~_named_job_is_active(), ~Exists(MonitorJob.objects.active().of_file(OuterRef("file_uuid")))
    )


COMPLETED = _about_job(
    Case(When(finished_at__isnull=True, then=constant("")), default=sentence(" at ", UtcTime("finished_at"))),
    OWN_JOB.completed(),
    NAMED_JOB.completed(),
)


@check(
    "processing_job_done",
    severity=Severity.WARN,
    detail=sentence("job ", text("job_id"), " completed", COMPLETED),
    hint="The job ended but the file was not told: check its output, then mark the file completed.",
    tags=("files",),
    default=True,
)
def processing_job_done() -> FileQuerySet:
    """Status=processing but job already completed"""
    # A completed job is not active, so the anti join with active jobs removes no result. A small index serves the anti
    # join and leaves few files. The Case names the joined table, so that PostgreSQL looks up the jobs of these files
    # only: an Exists would run before the join. A second queryset for foreign jobs would lose the order of the rows.
    active = FilteredRelation("job", condition=Q(job__status__in=ACTIVE_JOB))
    completed = Case(When(active_job__isnull=True, then=COMPLETED))
    files = File.objects.processing().alias(active_job=active, completed=completed)
    return files.filter(active_job__isnull=True, completed__isnull=False)


@check(
    "unregistered_with_uuid",
    severity=Severity.INFO,
    detail=constant("row left over from a migration"),
    hint="An unregistered file should have no row: register it, or let the owner remove the row.",
    tags=("files",),
    default=True,
)
def unregistered_with_uuid() -> FileQuerySet:
    """Status=unregistered but row still in DB (migration residue)"""
    return File.objects.unregistered()


@check(
    "unknown_status",
    severity=Severity.WARN,
    detail=sentence("status is ", shown_word("status")),
    hint=(
        f"Case matters. A file is {', '.join(FileStatus.values)}; a job is {', '.join(JobStatus.values)}. "
        "Until it is corrected, other checks do not see such a row, and such a job does not count as active."
    ),
    tags=("vocabulary",),
)
def unknown_status() -> tuple[FileQuerySet, MonitorJobQuerySet]:
    """The status of a file or job is no word of the vocabulary"""
    return File.objects.unknown_status(), MonitorJob.objects.unknown_status()


def _others_of_same_file() -> MonitorJobQuerySet:
    # Column against column, without a cast: the index serves any type.
    return MonitorJob.objects.active().filter(file_uuid=OuterRef("file_uuid"))


@check(
    "duplicate_active_jobs",
    severity=Severity.WARN,
    detail=sentence(
        "one of ",
        text(Subquery(_others_of_same_file().order_by().values("file_uuid").annotate(n=Count("*")).values("n"))),
        " active jobs of file ",
        text("file_uuid"),
    ),
    hint="Let one job finish and cancel the others: they would write the same output.",
    tags=("jobs",),
)
def duplicate_active_jobs() -> MonitorJobQuerySet:
    """More than one active job works on the same file"""
    another = _others_of_same_file().exclude(pk=OuterRef("pk"))
    # Jobs without a file are not jobs of the same file.
    return MonitorJob.objects.active().alias(key=text("file_uuid")).filter(Exists(another), key__gt="")


@check(
    "job_without_file",
    severity=Severity.WARN,
    detail=sentence("no file has the file_uuid '", text("file_uuid"), "'"),
    hint="The file was unregistered while its job was active: cancel the job.",
    tags=("jobs",),
)
def job_without_file() -> MonitorJobQuerySet:
    """An active job whose file row is gone"""
    return MonitorJob.objects.active().filter(~Exists(File.objects.of_key(OuterRef("file_uuid"))))


# Literals, so that PostgreSQL reads them in the type of the column and knows from its statistics that few rows match.
INFINITE = (constant("infinity"), constant("-infinity"))


def _key_problems(rows: Query) -> tuple[Query, ...]:
    """Return the rows with a repeated key, without a key, and with an infinite time: one row for each key."""
    meta = rows.model._meta
    table, key = meta.db_table, meta.pk.column
    number = text(Window(Count("*"), partition_by="pk"))
    keys = rows.values("pk").annotate(number=Count("*")).filter(number__gt=1).values("pk")
    # The first condition names no column, so PostgreSQL reads no row if an index rules out duplicates.
    repeated = rows.filter(~HasUniqueIndex(table=table, column=key), pk__in=keys)
    times = [field.column for field in meta.fields if isinstance(field, DateTimeField)]
    # No index serves the condition, so PostgreSQL reads the whole table.
    infinite = rows.filter(Q(*((f"{time}__in", INFINITE) for time in times), _connector=Q.OR))
    words = (When(**{f"{time}__in": INFINITE}, then=sentence(f"{time} is ", text(time))) for time in times)
    problems = (
        repeated.annotate(problem=sentence(number, f" rows of {table} have this {key}")),
        rows.filter(pk__isnull=True).annotate(problem=sentence(f"rows of {table} without {key}: ", number)),
        infinite.annotate(problem=Case(*words)),
    )
    return tuple(problem.distinct("pk") for problem in problems)


@check(
    "duplicate_keys",
    severity=Severity.WARN,
    detail=text("problem"),
    hint="Correct the keys and times, then add a primary key: a check may report such a row twice or not at all.",
    tags=("keys",),
)
def duplicate_keys() -> tuple[Query, ...]:
    """A key that occurs twice or is null, or a timestamp that is infinite"""
    return *_key_problems(File.objects.all()), *_key_problems(MonitorJob.objects.all())
