"""Send notices: a signed webhook and an e-mail to ADMINS, side by side, with a single attempt."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import Any, Final, TypeAlias
from uuid import uuid4

from django.conf import settings
from django.core.mail import mail_admins
from django.db import Error as DatabaseError
from django.db import connections
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from common.bounded import within
from common.budget import Budget
from common.errors import explain, no_answer
from common.postgres.deadline import deadline
from consistency.history.scanning import Recorded
from consistency.notices.notice import Notice, notice_of

logger = logging.getLogger(__name__)

NOTICE_TIMEOUT: Final = 10.0
"""Seconds for the channels together: they run side by side."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - public, of the specification

Channel: TypeAlias = Callable[[Notice], None]


class NotSentError(Exception):
    """The notice was not delivered. The message is free of addresses and secrets."""


def notify(recorded: Recorded) -> list[str]:
    """Send the notice of a recorded scan; return the problems as sentences."""
    if not channels():
        return []
    try:
        with deadline(NOTICE_TIMEOUT):
            notice = notice_of(recorded)
    except DatabaseError as error:
        return [f"the previous results cannot be read: {explain(error) or 'PostgreSQL refused'}"]
    return send(notice) if notice else []


def notify_later(recorded: Recorded) -> None:
    """Send the notice of a recorded scan in a thread, for servers. Problems go to the log."""
    if channels():
        Thread(target=_notify_and_log, args=(recorded,), name="notice", daemon=True).start()


def send(notice: Notice, timeout: float = NOTICE_TIMEOUT) -> list[str]:
    """Send a notice on all channels; return a sentence per channel that failed or needs over `timeout` seconds."""
    problems: dict[str, str | None] = dict.fromkeys(channels(), no_answer(timeout))

    def attempt(name: str, channel: Channel) -> None:
        problems[name] = _problem(channel, notice)

    # Daemon threads: a hanging receiver must not keep the process from ending.
    threads = [Thread(target=attempt, args=pair, name="notice channel", daemon=True) for pair in channels().items()]
    for thread in threads:
        thread.start()
    budget = Budget(timeout)
    for thread in threads:
        thread.join(budget.remaining())
    return [f"{name}: {problem}" for name, problem in problems.items() if problem]


def preview(recorded: Recorded) -> str:
    """Return the notice of a recorded scan and the names of the channels."""
    notice = notice_of(recorded)
    if notice is None:
        return "No notice: no check is new, worse, recovered or running again, and no suppression ends within a day.\n"
    names = " and ".join(channels()) or "nobody: neither CONSISTENCY_WEBHOOK_URL nor ADMINS is set"
    body = json.dumps(notice.as_dict(), indent=2)
    subject = f"{settings.EMAIL_SUBJECT_PREFIX}{notice.subject}"
    return f"Would be sent to {names}.\n\nWebhook:\n{body}\n\nE-mail: {subject}\n{notice.text}"


def channels() -> dict[str, Channel]:
    """Return the channels that the settings configure, by name."""
    known: dict[str, tuple[Channel, Any]] = {
        "webhook": (_send_webhook, settings.CONSISTENCY_WEBHOOK_URL),
        "e-mail": (_send_email, settings.ADMINS),
    }
    return {name: channel for name, (channel, setting) in known.items() if setting}


def signer(secret: str) -> Webhook:
    """Return the signer for CONSISTENCY_WEBHOOK_SECRET: `whsec_` and a key in base64, or any text as the key."""
    try:
        return Webhook(secret if secret.startswith(SECRET_PREFIX) else secret.encode())
    except (ValueError, EmptyWebhookSecretError):
        raise NotSentError(f"CONSISTENCY_WEBHOOK_SECRET has no base64 after {SECRET_PREFIX}") from None


def _send_webhook(notice: Notice) -> None:
    import httpx  # costs a tenth of a second, so only a sender imports it

    identifier, now, body = f"msg_{uuid4().hex}", datetime.now(UTC), json.dumps(notice.as_dict())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Continuity/{settings.VERSION}",
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer(settings.CONSISTENCY_WEBHOOK_SECRET).sign(identifier, now, body),
    }
    url = settings.CONSISTENCY_WEBHOOK_URL
    # Only the status counts: a body need not end.
    with httpx.stream("POST", url, content=body, headers=headers, timeout=NOTICE_TIMEOUT) as response:
        if not response.is_success:
            raise NotSentError(f"answered with HTTP {response.status_code}")


def _send_email(notice: Notice) -> None:
    mail_admins(notice.subject, notice.text)


def _problem(channel: Channel, notice: Notice) -> str | None:
    try:
        # Behind a hanging name server, a single thread per channel waits.
        key = (channel, settings.CONSISTENCY_WEBHOOK_URL, settings.EMAIL_HOST)
        within(NOTICE_TIMEOUT, key, partial(channel, notice))
    except NotSentError as error:
        return str(error)
    except Exception as error:
        logger.debug("A notice was not sent", exc_info=True)
        # The text of an unforeseen error may hold an address.
        return explain(error, NOTICE_TIMEOUT) or f"failed with {type(error).__name__}"
    return None


def _notify_and_log(recorded: Recorded) -> None:
    try:
        for problem in notify(recorded):
            logger.warning("A notice was not sent: %s", problem)
    finally:
        connections.close_all()
