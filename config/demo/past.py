"""The sample platform as it was a moment ago, so that a second scan has news: some rows broke, some were mended."""

from collections.abc import Iterator
from contextlib import contextmanager

from consistency.models import File

MENDED = 3  # files that were broken then and are not now
NOT_YET = 3  # one in so many of those that are broken now was not then


@contextmanager
def as_it_was() -> Iterator[None]:
    """Some of what is wrong is not so inside, and some is that will have been mended; afterwards all is as before."""
    files = File.objects.order_by("pk")
    later = {
        status: list(files.filter(status=status, job_id=None).values_list("pk", flat=True)[::NOT_YET])
        for status in ("processing", "unregistered")
    }
    mended = list(files.filter(status="registered", job_id=None).values_list("pk", flat=True)[:MENDED])
    for pks in later.values():
        File.objects.filter(pk__in=pks).update(status="registered")
    File.objects.filter(pk__in=mended).update(status="processing")
    try:
        yield
    finally:
        File.objects.filter(pk__in=mended).update(status="registered")
        for status, pks in later.items():
            File.objects.filter(pk__in=pks).update(status=status)
