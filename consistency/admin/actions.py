"""Apply an action of a person to anomalies; a state token refuses an outdated form."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from consistency.admin.base import conflict
from consistency.admin.forms import ActionForm
from consistency.history.locks import AnomaliesLockedError, changing_anomalies
from consistency.history.suppression import SuppressionError
from consistency.models.history import Anomaly

STATE_FIELD: Final = "state_token"
CHANGED: Final = (
    "Some of these anomalies changed since the page was shown. Nothing was done: check the state shown now, and send"
    " the form again."
)


def state_token(anomalies: Iterable[Any]) -> str:
    """Return a hash of the shown state of anomalies with comments, for a hidden field of a form."""
    digest = blake2b(digest_size=10)
    for row in sorted(anomalies, key=lambda row: row.pk):
        author = (row.acknowledged_by, row.acknowledged_at, row.acknowledged_reason)
        acknowledgement = row.is_acknowledged and (row.acknowledged_until, *author)
        state = (row.detail, row.resolved_at is None, row.returned_count, acknowledgement, row.assignee)
        digest.update(repr((row.pk, *state, len(row.comments))).encode())
    return digest.hexdigest()


def apply(request: HttpRequest, form: ActionForm, anomalies: QuerySet[Anomaly]) -> bool:
    """Apply an action, and add a message with the result. Return False if the form holds the reason why not."""
    token = request.POST.get(STATE_FIELD)
    try:
        with changing_anomalies():
            rows = list(anomalies)
            if token and state_token(rows) != token:
                form.add_error(None, conflict(CHANGED))
            # Judged after the token: an outdated form may hold a choice that is no longer possible.
            if not form.is_valid():
                return False
            across = request.POST.get("select_across") == "1"
            keys = [row.pk for row in rows] if across else form.targets(rows)
            changed = form.apply(keys, request.user.get_username())
    except (SuppressionError, AnomaliesLockedError) as problem:
        form.add_error(None, conflict(problem) if isinstance(problem, AnomaliesLockedError) else str(problem))
        return False
    text = form.result(changed, len(keys) - changed) if rows else f"{form.past_tense}: none matches any more."
    messages.add_message(request, messages.SUCCESS if changed else messages.WARNING, text)
    return True
