"""The sample platform in PostgreSQL and Qdrant: loaded on the first start, kept afterwards."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import chain, count, islice, repeat

from django.conf import settings
from django.db import connection, transaction

from config.demo.sample_contents import ROWS_MISSING, FileGroup, composition, jobs_without_file
from config.demo.sample_files import migrations, people
from consistency.models import File, MonitorJob
from health.models import RuntimeSwitch, SchemaMigration
from identities.models import Identity

BATCH = 5_000
START = datetime(2026, 5, 1, tzinfo=UTC)
NO_SUCH_JOB = 900_000_000  # dangling job_ids start here
ACTIVE = ("pending", "running")
SWITCHES = {"cache": True, "auto_pipeline": False, "watcher": True}
COMMENT = "sample platform of {} files"
POINTS, DIMENSIONS = 400, 16
REPAIRED = 3  # files that were broken in the earlier state only
INTACT = 3  # every third broken file was intact in the earlier state

Advance = Callable[[int], None]


def loaded_files() -> int | None:
    """Return the number of files that a demo has loaded; None without a sample platform."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass('files'), 'pg_class')")
        (comment,) = cursor.fetchone() or (None,)
    before, after = COMMENT.split("{}")
    number = (comment or "").removeprefix(before).removesuffix(after)
    return int(number) if number.isdigit() else None


def has_foreign_data() -> bool:
    """Return whether the database holds data that no demo has loaded."""
    if loaded_files() is not None:
        return False
    own = {*connection.introspection.django_table_names(include_views=False), "django_migrations"}
    tables = set(connection.introspection.table_names())
    media = (File, MonitorJob, Identity, SchemaMigration)
    return bool(tables - own) or any(model.objects.exists() for model in media if model._meta.db_table in tables)


@transaction.atomic
def load(files: int, advance: Advance) -> None:
    """Fill the empty database. Call `advance` with the number of files of each batch."""
    groups = chain.from_iterable(repeat(group, size) for group, size in composition(files))
    numbered = enumerate(groups)
    while batch := list(islice(numbered, BATCH)):
        _load_files(batch)
        advance(len(batch))
    MonitorJob.objects.bulk_create(
        _job(_uuid(-number), ACTIVE[number % 2], number) for number in range(1, 1 + jobs_without_file(files))
    )
    Identity.objects.bulk_create(Identity(**asdict(person)) for person in people()[:-ROWS_MISSING])
    SchemaMigration.objects.bulk_create(SchemaMigration(filename=name) for name in migrations())
    RuntimeSwitch.objects.bulk_create(RuntimeSwitch(name=name, enabled=on) for name, on in SWITCHES.items())
    with connection.cursor() as cursor:
        cursor.execute("COMMENT ON TABLE files IS %s", [COMMENT.format(files)])


def _load_files(batch: list[tuple[int, FileGroup]]) -> None:
    linked = {number: _job(_uuid(number), group.linked, number) for number, group in batch if group.linked}
    others = [_job(_uuid(number), status, number) for number, group in batch for status in group.others]
    MonitorJob.objects.bulk_create([*linked.values(), *others])
    File.objects.bulk_create(_file(number, group, linked.get(number)) for number, group in batch)


def _uuid(number: int) -> str:
    """Return 32 hexadecimal characters, or 16 like the oldest rows of a real platform."""
    digest = hashlib.sha256(f"sample file {number}".encode()).hexdigest()
    return digest[: 16 if number % 20 == 0 else 32]


def _job(file_uuid: str, status: str, number: int) -> MonitorJob:
    created = START + timedelta(seconds=37 * number)
    ended = created + timedelta(minutes=12) if status in ("completed", "failed") else None
    return MonitorJob(
        file_uuid=file_uuid, status=status, created_at=created, updated_at=ended or created, finished_at=ended
    )


def _file(number: int, group: FileGroup, job: MonitorJob | None) -> File:
    created = START + timedelta(seconds=37 * number)
    name = f"{created:%Y-%m-%d}_{('interview', 'lecture', 'match', 'news', 'trailer')[number % 5]}_{number:05}.mp4"
    return File(
        file_uuid=_uuid(number),
        file_name=name,
        file_path="" if group.status == "unregistered" else f"/media/{created:%Y/%m}/{name}",
        status=group.status,
        job_id=NO_SUCH_JOB + number if group.dangling else job.pk if job else None,
        created_at=created,
        updated_at=created + timedelta(minutes=13),
    )


@contextmanager
def earlier_state() -> Iterator[None]:
    """Change some statuses inside the block, so that the next scan has new and resolved anomalies."""
    files = File.objects.order_by("pk")
    intact = {
        status: list(files.filter(status=status, job_id=None).values_list("pk", flat=True)[::INTACT])
        for status in ("processing", "unregistered")
    }
    repaired = list(files.filter(status="registered", job_id=None).values_list("pk", flat=True)[:REPAIRED])
    for pks in intact.values():
        File.objects.filter(pk__in=pks).update(status="registered")
    File.objects.filter(pk__in=repaired).update(status="processing")
    try:
        yield
    finally:
        File.objects.filter(pk__in=repaired).update(status="registered")
        for status, pks in intact.items():
            File.objects.filter(pk__in=pks).update(status=status)


# --- Qdrant ----------------------------------------------------------------------------------------------
def fill_collections() -> None:
    """Create the collections of QDRANT_COLLECTIONS that do not exist, with some points."""
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, PointStruct, VectorParams

    numbers = random.Random(POINTS)  # noqa: S311 - the same points on every start
    vectors = ([numbers.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(POINTS))
    points = [PointStruct(id=number, vector=vector) for number, vector in zip(count(1), vectors, strict=False)]
    # As a header: the library warns of the argument `api_key` without TLS.
    headers = {"api-key": settings.QDRANT_API_KEY}
    client = QdrantClient(settings.QDRANT_URL, headers=headers, check_compatibility=False)
    for name in settings.QDRANT_COLLECTIONS:
        if not client.collection_exists(name):
            client.create_collection(name, vectors_config=VectorParams(size=DIMENSIONS, distance=Distance.COSINE))
            client.upsert(name, points)
    client.close()
