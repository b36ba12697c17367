"""Messages about background tasks: progress for everybody, the result once for the person who started the task."""

from django.contrib import messages
from django.http import HttpRequest

from common.text import printable
from consistency.history.tasks import running_tasks, take_results


def add_task_messages(request: HttpRequest) -> None:
    """Add the progress of running bulk actions and the new results of this person."""
    for task in running_tasks(database=""):
        progress = f"{task.done:,} of {task.total:,}" if task.total else "starting"
        messages.info(request, printable(f"{task.title}, started by {task.by}: {progress}."))
    add_results(request)


def add_results(request: HttpRequest) -> None:
    """Add the new results of the tasks of this person."""
    for task in take_results(request.user.get_username()):
        text = f"{task.title}: {task.result}" if task.failed or not task.database else task.result
        messages.add_message(request, messages.ERROR if task.failed else messages.SUCCESS, printable(text))
