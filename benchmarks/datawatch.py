"""Measure the rows per second that django-datawatch records, a row at a time, on the files of a database.

benchmarks/recording.py runs it, with the Python of a virtual environment with django-datawatch and psycopg.
"""

import os
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from psycopg.conninfo import conninfo_to_dict

ROWS = 2_000


def configure(url: str) -> None:
    """Set up Django with the apps of django-datawatch, on the database at a URL."""
    at = conninfo_to_dict(url)
    place = {"NAME": at["dbname"], "USER": at["user"], "PASSWORD": at.get("password", ""), "HOST": at["host"]}
    postgres = {"ENGINE": "django.db.backends.postgresql", "PORT": str(at.get("port", ""))}
    settings.configure(
        DATABASES={"default": postgres | place},
        INSTALLED_APPS=[f"django.contrib.{name}" for name in ("contenttypes", "auth", "admin", "messages")]
        + ["django_extensions", "django_datawatch"],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DJANGO_DATAWATCH_RUN_SIGNALS=False,
    )
    django.setup()


def registered() -> Any:
    """The check of the documentation: every processing file is wrong."""
    from django.db import models
    from django_datawatch.base import BaseCheck, CheckResponse
    from django_datawatch.datawatch import datawatch
    from django_datawatch.models import Result

    class File(models.Model):
        file_uuid = models.TextField(primary_key=True)
        status = models.TextField()

        class Meta:
            app_label = "files"
            db_table = "files"
            managed = False

        def __str__(self) -> str:
            return self.file_uuid

    @datawatch.register
    class Processing(BaseCheck):
        model_class = File

        def generate(self) -> Iterator[File]:
            yield from File.objects.filter(status="processing")[:ROWS]

        def check(self, payload: File) -> CheckResponse:
            response = CheckResponse()
            response.set_status(Result.STATUS.warning)
            return response

    return Processing


def main() -> None:
    """Print the rows per second of the first scan (creates) and the second scan (updates)."""
    configure(os.environ["DATABASE_URL"])
    call_command("migrate", verbosity=0)
    check = registered()()
    for name in ("new", "again"):
        started = perf_counter()
        check.run()
        sys.stdout.write(f"django-datawatch, {ROWS} {name}: {ROWS / (perf_counter() - started):.0f} rows/s\n")


if __name__ == "__main__":
    main()
