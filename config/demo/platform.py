"""The sample platform in PostgreSQL and Qdrant: loaded once, kept ever after."""

import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, count, islice, repeat

from django.conf import settings
from django.db import connection, transaction

from config.demo import disk, plan
from config.demo.plan import Kind
from consistency.models import File, MonitorJob
from health.models import RuntimeSwitch, SchemaMigration
from health.probes.services import qdrant_client
from identities.models import Identity

BATCH = 5_000
BEGINNING = datetime(2026, 5, 1, tzinfo=UTC)
NO_SUCH_JOB = 900_000_000  # and following: what a job_id names that leads nowhere
ACTIVE = ("pending", "running")
SWITCHES = {"cache": True, "auto_pipeline": False, "watcher": True}
COMMENT = "sample platform of {} files"
POINTS, DIMENSIONS = 400, 16

Advance = Callable[[int], None]


def loaded() -> int | None:
    """How many files the sample platform had when it was loaded here; None if it was not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass('files'), 'pg_class')")
        (comment,) = cursor.fetchone() or (None,)
    before, after = COMMENT.split("{}")
    number = (comment or "").removeprefix(before).removesuffix(after)
    return int(number) if number.isdigit() else None


def belongs_to_others() -> bool:
    """Whether the database holds anything that no demo has put there: then nothing may be loaded into it."""
    if loaded() is not None:
        return False
    mine = {*connection.introspection.django_table_names(include_views=False), "django_migrations"}
    present = set(connection.introspection.table_names())
    media = (File, MonitorJob, Identity, SchemaMigration)
    return bool(present - mine) or any(model.objects.exists() for model in media if model._meta.db_table in present)


@transaction.atomic
def load(files: int, advance: Advance) -> None:
    """Fill the empty database; `advance` hears how many files have been added each time."""
    kinds = chain.from_iterable(repeat(kind, number) for kind, number in plan.composition(files))
    numbered = enumerate(kinds)
    while batch := list(islice(numbered, BATCH)):
        _load_files(batch)
        advance(len(batch))
    MonitorJob.objects.bulk_create(
        _job(_uuid(-number), ACTIVE[number % 2], number) for number in range(1, 1 + plan.jobs_without_file(files))
    )
    _load_the_rest()
    with connection.cursor() as cursor:
        cursor.execute("COMMENT ON TABLE files IS %s", [COMMENT.format(files)])


def _load_files(batch: list[tuple[int, Kind]]) -> None:
    linked = {number: _job(_uuid(number), kind.linked, number) for number, kind in batch if kind.linked}
    others = [_job(_uuid(number), status, number) for number, kind in batch for status in kind.others]
    MonitorJob.objects.bulk_create([*linked.values(), *others])
    File.objects.bulk_create(_file(number, kind, linked.get(number)) for number, kind in batch)


def _uuid(number: int) -> str:
    """32 hexadecimal characters as today, 16 as in the oldest rows."""
    digest = hashlib.sha256(f"sample file {number}".encode()).hexdigest()
    return digest[: 16 if number % 20 == 0 else 32]


def _job(file_uuid: str, status: str, number: int) -> MonitorJob:
    created = BEGINNING + timedelta(seconds=37 * number)
    ended = created + timedelta(minutes=12) if status in ("completed", "failed") else None
    return MonitorJob(
        file_uuid=file_uuid, status=status, created_at=created, updated_at=ended or created, finished_at=ended
    )


def _file(number: int, kind: Kind, job: MonitorJob | None) -> File:
    created = BEGINNING + timedelta(seconds=37 * number)
    name = f"{created:%Y-%m-%d}_{('interview', 'lecture', 'match', 'news', 'trailer')[number % 5]}_{number:05}.mp4"
    return File(
        file_uuid=_uuid(number),
        file_name=name,
        file_path="" if kind.status == "unregistered" else f"/media/{created:%Y/%m}/{name}",
        status=kind.status,
        job_id=NO_SUCH_JOB + number if kind.dangling else job.pk if job else None,
        created_at=created,
        updated_at=created + timedelta(minutes=13),
    )


def _load_the_rest() -> None:
    with_row = disk.people()[: -plan.ROWS_MISSING]
    Identity.objects.bulk_create(
        Identity(
            uuid=person.uuid,
            name=person.name,
            source=person.source,
            metadata=person.metadata,
            is_active=person.is_active,
        )
        for person in with_row
    )
    SchemaMigration.objects.bulk_create(SchemaMigration(filename=name) for name in disk.migrations())
    RuntimeSwitch.objects.bulk_create(RuntimeSwitch(name=name, enabled=on) for name, on in SWITCHES.items())


# --- Qdrant ----------------------------------------------------------------------------------------------
def fill_collections() -> None:
    """Create the named collections that do not exist, with some points each."""
    from qdrant_client.models import Distance, PointStruct, VectorParams

    client = qdrant_client()
    for name in settings.QDRANT_COLLECTIONS:
        if not client.collection_exists(name):
            client.create_collection(name, vectors_config=VectorParams(size=DIMENSIONS, distance=Distance.COSINE))
            client.upsert(name, [PointStruct(id=number, vector=vector) for number, vector in _vectors()])
    client.close()


def _vectors() -> Iterator[tuple[int, list[float]]]:
    numbers = random.Random(POINTS)  # noqa: S311 - the same ones each time
    return zip(count(1), ([numbers.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(POINTS)))
