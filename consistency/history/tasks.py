"""Run a scan or a bulk action in a thread of the server process, with progress in the database."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from common.postgres.connections import new_connection, use_connections
from consistency.models.history import BackgroundTask

logger = logging.getLogger(__name__)

HEARTBEAT_TIMEOUT: Final = timedelta(minutes=3)
"""A recording may hold up a batch for two minutes. A task without an update for longer has died with its process."""


class TaskFailed(Exception):  # noqa: N818 - an outcome of the work
    """The work ended without its result. The message is for people."""


class Progress:
    """Update the row of a task from its thread.

    The connection is its own: during a scan the connection of the thread is the read-only connection of the engine.
    """

    def __init__(self, task: BackgroundTask) -> None:
        self.task = task
        self._connection = new_connection(DEFAULT_DB_ALIAS)

    def update(self, *, next_update_after: timedelta = timedelta(), **values: Any) -> None:
        """Write values and the heartbeat; an error is logged, and the work goes on.

        `next_update_after` is the time until the next update, if that is long.
        """
        try:
            self._write(timezone.now() + next_update_after, values)
        except DatabaseError:
            logger.warning("The progress of %s could not be stored", self.task.title, exc_info=True)

    def finish(self, result: str, *, failed: bool = False) -> None:
        """Write the result."""
        now = timezone.now()
        self._write(now, {"result": result, "failed": failed, "finished_at": now, "step": ""})

    def _write(self, updated_at: datetime, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self.task, name, value)
        with use_connections(self._connection):
            BackgroundTask.objects.filter(pk=self.task.pk).update(updated_at=updated_at, **values)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def start_task(
    work: Callable[[Progress], str], *, title: str, by: str, database: str = "", total: int = 0
) -> tuple[BackgroundTask, Thread]:
    """Start `work` in a daemon thread and return its task. `work` returns the result text, or raises TaskFailed."""
    now = timezone.now()
    task = BackgroundTask.objects.create(
        title=title, by=by, database=database, total=total, started_at=now, updated_at=now
    )
    thread = Thread(target=_run, args=(work, Progress(task)), name="consistency-task", daemon=True)
    thread.start()
    return task, thread


def _run(work: Callable[[Progress], str], progress: Progress) -> None:
    try:
        progress.finish(work(progress))
    except TaskFailed as problem:
        _fail(progress, str(problem))
    except Exception:
        logger.exception("%s ended early", progress.task.title)
        _fail(progress, f"Ended early, after {progress.task.done:,} of {progress.task.total:,}. The log says why.")
    finally:
        progress.close()
        connections.close_all()


def _fail(progress: Progress, result: str) -> None:
    try:
        progress.finish(result, failed=True)
    except DatabaseError:
        logger.exception("The result of %s could not be stored", progress.task.title)


def running_tasks(database: str | None = None) -> "QuerySet[BackgroundTask]":
    """Return the tasks under way: scans of one database (bulk actions: an empty name), or all tasks."""
    alive = Q(finished_at__isnull=True, updated_at__gt=timezone.now() - HEARTBEAT_TIMEOUT)
    tasks = BackgroundTask.objects.filter(alive)
    return tasks if database is None else tasks.filter(database=database)


def last_failed_scan(database: str) -> BackgroundTask | None:
    """Return the last scan task of a database if that task failed."""
    last = BackgroundTask.objects.filter(database=database, finished_at__isnull=False).order_by("-finished_at").first()
    return last if last and last.failed else None


def take_results(by: str) -> list[BackgroundTask]:
    """Return the finished or dead tasks of a person that were not reported yet, and mark them as reported.

    A dead task gets a result that says how far the task came.
    """
    over = Q(finished_at__isnull=False) | Q(updated_at__lte=timezone.now() - HEARTBEAT_TIMEOUT)
    tasks = list(BackgroundTask.objects.filter(over, by=by, reported=False).order_by("pk"))
    if tasks:
        BackgroundTask.objects.filter(pk__in=[task.pk for task in tasks]).update(reported=True)
    for task in tasks:
        if task.finished_at is None:
            task.failed = True
            task.result = f"Ended early, after {task.done:,} of {task.total:,}: the server process stopped."
    return tasks
