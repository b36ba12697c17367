"""How people are told: a signed webhook and an e-mail to ADMINS, side by side, and all of it within a few seconds."""

import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from ssl import SSLError
from threading import Thread, Timer
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from django.conf import settings
from django.core.mail import mail_admins
from django.db import Error as DatabaseError

from common.budget import Budget
from common.postgres.deadline import deadline
from consistency.history.scanning import Recorded
from consistency.notices.notice import Notice, notice_of

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

SECONDS: Final = 10.0
"""For all tries on all ways: what a scan from cron may end later by, at most, when a receiver hangs."""
ONE_TRY: Final = 3.0
SHORTEST_TRY: Final = 0.5
FIRST_PAUSE: Final = 0.5
SIGNATURE: Final = "Continuity-Signature"
AGAIN: Final = {408, 425, 429}
"""Beside 5xx: answers that another try may change."""

Way = Callable[[Notice, Budget], None]


class NotSentError(Exception):
    """Why a notice did not get there, in words without address or secret."""


def ways() -> dict[str, Way]:
    """How notices go out, by name; none unless the settings name one."""
    known: dict[str, tuple[Way, object]] = {
        "webhook": (_webhook, settings.CONSISTENCY_WEBHOOK_URL),
        "e-mail": (_email, settings.ADMINS),
    }
    return {name: way for name, (way, wanted) in known.items() if wanted}


def notify(recorded: Recorded) -> list[str]:
    """Send the notice of a recorded scan on every channel; return the problems, a sentence each."""
    if not ways():
        return []
    try:
        notice = bounded_notice(recorded)
    except DatabaseError:
        # Told in words: cron mails them, and needs no traceback.
        logger.debug("What a notice compares with could not be read", exc_info=True)
        return ["what the scans before found cannot be read"]
    return send(notice) if notice else []


def notify_later(recorded: Recorded) -> None:
    """The same for a server process: sent by a thread of its own, so that nobody waits; problems go to the log."""
    if not ways():
        return
    try:
        notice = bounded_notice(recorded)
    except DatabaseError:
        logger.warning("What a notice compares with could not be read", exc_info=True)
        return
    if notice:
        Thread(target=_send_and_log, args=(notice,), name="notice", daemon=True).start()


def bounded_notice(recorded: Recorded) -> Notice | None:
    """The notice, from a memory that is waited for no longer than a notice may take."""
    with deadline(SECONDS):
        return notice_of(recorded)


def send(notice: Notice, seconds: float = SECONDS) -> list[str]:
    """Send it on every way side by side; who is not done by then is left behind."""
    budget = Budget(seconds)
    sending = {name: _started(way, notice, budget) for name, way in ways().items()}
    wait(sending.values(), timeout=budget.left())
    return [problem for name, future in sending.items() if (problem := _problem(name, future, seconds))]


def preview(notice: Notice | None) -> str:
    """What would be sent, and to whom."""
    if notice is None:
        return "No notice: nothing is new, worse, recovered or running again.\n"
    names = " and ".join(ways()) or "nobody: neither CONSISTENCY_WEBHOOK_URL nor ADMINS is set"
    body = json.dumps(notice.as_dict(), indent=2)
    subject = f"{settings.EMAIL_SUBJECT_PREFIX}{notice.subject}"
    return f"Would be sent to {names}.\n\nWebhook:\n{body}\n\nE-mail: {subject}\n{notice.text}"


def signature(secret: str, stamp: int, body: bytes) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 over `<seconds>.<body>`, so that an old message cannot be sent again."""
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


# --- The ways --------------------------------------------------------------------------------------------
def _webhook(notice: Notice, budget: Budget) -> None:
    # Made once: all tries of one notice go to one receiver, which knows by its own name whether it has it already.
    url, secret = settings.CONSISTENCY_WEBHOOK_URL, settings.CONSISTENCY_WEBHOOK_SECRET
    body, delivery = json.dumps(notice.as_dict()).encode(), str(uuid4())
    pause = FIRST_PAUSE
    while True:
        try:
            return _post(url, secret, body, delivery=delivery, seconds=min(ONE_TRY, budget.left()))
        except _TryAgain as reason:
            # Not in step with others who were refused at the same moment.
            nap = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            if budget.left() < nap + SHORTEST_TRY:
                raise NotSentError(str(reason)) from None
        time.sleep(nap)
        pause *= 2


class _TryAgain(Exception):  # noqa: N818 - what to do
    """Another try may do better."""


def _post(url: str, secret: str, body: bytes, *, delivery: str, seconds: float) -> None:
    import httpx  # only who sends pays for it

    stamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Continuity/{settings.VERSION}",
        "Continuity-Delivery": delivery,
        SIGNATURE: signature(secret, stamp, body),
    }
    budget = Budget(seconds)
    try:
        # The head of the answer is all that counts; a body need never end.
        with httpx.Client(timeout=seconds) as client, _closed_after(seconds, client):  # noqa: SIM117
            with client.stream("POST", url, content=body, headers=headers) as answer:
                code = answer.status_code
    except httpx.TransportError as error:
        late = isinstance(error, httpx.TimeoutException) or not budget.left()
        raise _TryAgain("no answer in time" if late else _no_connection(error)) from None
    if code >= 500 or code in AGAIN:
        raise _TryAgain(f"answered {code}")
    if not 200 <= code < 300:
        raise NotSentError(f"answered {code}")


@contextmanager
def _closed_after(seconds: float, client: "httpx.Client") -> Iterator[None]:
    """End what no timeout of a read ends: an answer that comes a byte at a time."""
    timer = Timer(seconds, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _no_connection(error: BaseException | None) -> str:
    while error:
        if isinstance(error, SSLError):
            return "no TLS with it: is its certificate trusted, and is it https at all?"
        error = error.__cause__ or error.__context__
    return "no connection"


def _email(notice: Notice, budget: Budget) -> None:
    try:
        mail_admins(notice.subject, notice.text)
    except OSError as error:  # smtplib's errors are some too
        raise NotSentError(f"the mail server did not take it ({type(error).__name__})") from None


# --- Threads ---------------------------------------------------------------------------------------------
def _started(way: Way, notice: Notice, budget: Budget) -> "Future[None]":
    """A daemon's work: one that hangs must not keep the process from ending, as an executor's would."""
    future: Future[None] = Future()
    Thread(target=_work, args=(future, way, notice, budget), name="notice", daemon=True).start()
    return future


def _work(future: "Future[None]", way: Way, notice: Notice, budget: Budget) -> None:
    try:
        way(notice, budget)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)


def _problem(name: str, future: "Future[None]", seconds: float) -> str | None:
    if not future.done():
        return f"{name}: not done within {seconds:.0f} s"
    error = future.exception()
    if error is None or isinstance(error, NotSentError):
        return f"{name}: {error}" if error else None
    # Its words may hold an address; and cron mails one line, not a traceback.
    logger.debug("A notice failed", exc_info=error)
    return f"{name}: unexpected error ({type(error).__name__})"


def _send_and_log(notice: Notice) -> None:
    for problem in send(notice):
        logger.warning("Notice about scan %s not sent: %s", notice.scan.id, problem)
