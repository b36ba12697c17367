"""Delivery of notices: the webhook against servers that misbehave, and e-mail."""

import json
import logging
import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from standardwebhooks import Webhook, WebhookVerificationError

from consistency.history.scanning import Recorded, record_scan
from consistency.notices import delivery
from consistency.notices.notice import Notice, notice_of
from consistency.scan.selection import select_checks
from tests.consistency.data import a_file
from tests.consistency.notices.receivers import SECRET, Receive, TakeMail, dripping, hanging, point, sending

pytestmark = pytest.mark.usefixtures("transactional_db")
SAME_SECRET = f"whsec_{b64encode(SECRET.encode()).decode()}"


@pytest.fixture
def recorded(transactional_db: None) -> Recorded:
    a_file("one", "processing")
    return record_scan(select_checks(["stale_processing"]), trigger="command")


@pytest.fixture
def notice(recorded: Recorded) -> Notice:
    notice = notice_of(recorded)
    assert notice
    return notice


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages of the module at the default LOG_LEVEL, and fail on a traceback."""
    records = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert not [record for record in records if record.exc_info]
    return [record.message for record in records if record.name == delivery.__name__]


# --- The webhook -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("secret", [SECRET, SAME_SECRET])
def test_a_webhook_is_json_signed_as_standard_webhooks_specifies(
    receive: Receive, settings: Any, notice: Notice, secret: str
) -> None:
    received = receive(204)
    settings.CONSISTENCY_WEBHOOK_SECRET = secret
    assert delivery.send(notice) == []
    [(headers, body)] = received
    assert Webhook(SAME_SECRET).verify(body, dict(headers)) == notice.as_dict()
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(SAME_SECRET).verify(body.replace(b"new", b"old"), dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another secret").verify(body, dict(headers))


def test_the_same_scan_number_of_two_installations_is_two_messages(receive: Receive, notice: Notice) -> None:
    received = receive(204)
    delivery.send(notice)
    delivery.send(notice)
    assert len({headers["webhook-id"] for headers, _ in received}) == 2


@pytest.mark.parametrize("secret", ["whsec_", "whsec_*", "whsec_a"])
def test_a_secret_without_base64_is_a_problem_that_names_the_setting(
    receive: Receive, settings: Any, notice: Notice, secret: str
) -> None:
    received = receive(204)
    settings.CONSISTENCY_WEBHOOK_SECRET = secret
    assert delivery.send(notice) == ["webhook: CONSISTENCY_WEBHOOK_SECRET has no base64 after whsec_"]
    assert received == []


@pytest.mark.parametrize("host", ["exa mple", "x" * 64, "\u2603.example"])
def test_an_unforeseen_error_is_a_line_without_an_address_and_no_traceback(
    settings: Any, notice: Notice, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    point(settings, 0)
    settings.CONSISTENCY_WEBHOOK_URL = f"http://{host}/hooks/hunter2"
    [problem] = delivery.send(notice, timeout=2.0)
    assert re.fullmatch(r"webhook: (failed with \w+|host name not found|no answer within 2 s)", problem)
    assert logged(caplog) == []


@contextmanager
def unreadable_history() -> Iterator[None]:
    """Hide the table of previous results."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consistency_scancheck RENAME TO elsewhere")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO consistency_scancheck")


def test_a_history_that_cannot_be_read_is_a_line_and_no_traceback(
    receive: Receive, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    receive(200)
    with unreadable_history():
        [problem] = delivery.notify(recorded)
    assert problem.startswith("the previous results cannot be read: Continuity's tables are not in the database")
    assert logged(caplog) == []


def test_a_history_that_cannot_be_read_fails_no_request_that_has_recorded_its_scan(
    receive: Receive, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    received = receive(200)
    with unreadable_history():
        delivery.notify_later(recorded)
        for thread in sending():
            thread.join(delivery.NOTICE_TIMEOUT)
    assert received == []
    [line] = logged(caplog)
    assert line.startswith("A notice was not sent: the previous results cannot be read: ")


@pytest.mark.parametrize("code", [301, 400, 404, 408, 410, 429, 500, 503])
def test_a_receiver_gets_one_attempt(receive: Receive, notice: Notice, code: int) -> None:
    received = receive(code)
    assert delivery.send(notice) == [f"webhook: answered with HTTP {code}"]
    assert len(received) == 1


def test_a_receiver_that_hangs_costs_the_timeout_at_most(settings: Any, notice: Notice) -> None:
    with hanging() as port:
        point(settings, port)
        began = time.monotonic()
        assert delivery.send(notice, timeout=1.0) == ["webhook: no answer within 1 s"]
    assert time.monotonic() - began < 8


def test_notices_to_a_receiver_that_drips_leave_one_thread(
    settings: Any, notice: Notice, left_behind: Callable[[], int]
) -> None:
    with dripping() as port:
        point(settings, port)
        for _ in range(5):
            delivery.send(notice, timeout=0.2)
        assert left_behind() == 1


def test_a_receiver_that_drips_costs_the_timeout_at_most(settings: Any, notice: Notice) -> None:
    with dripping() as port:
        point(settings, port)
        began = time.monotonic()
        assert delivery.send(notice, timeout=1.0) == ["webhook: no answer within 1 s"]
    assert time.monotonic() - began < 8


def test_a_receiver_that_speaks_no_tls_is_named(settings: Any, receive: Receive, notice: Notice) -> None:
    receive(200)
    settings.CONSISTENCY_WEBHOOK_URL = settings.CONSISTENCY_WEBHOOK_URL.replace("http:", "https:")
    assert delivery.send(notice) == ["webhook: TLS failed"]


def test_a_receiver_that_is_away_is_named_without_its_address(settings: Any, notice: Notice) -> None:
    point(settings, free_port())
    assert delivery.send(notice) == ["webhook: connection refused"]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


# --- E-mail ----------------------------------------------------------------------------------------------
def test_admins_get_one_mail(settings: Any, notice: Notice) -> None:
    settings.ADMINS = [("", "ops@example.com"), ("", "ada@example.com")]
    assert delivery.send(notice) == []
    [sent] = mail.outbox
    assert sent.to == ["ops@example.com", "ada@example.com"]
    assert sent.subject == "[Continuity] Consistency degraded: 1 check new (database default)"
    assert sent.body == notice.text


def test_a_real_mail_server_takes_one_message_for_all(mail_server: TakeMail, notice: Notice) -> None:
    received = mail_server()
    assert delivery.send(notice) == []
    # Python versions differ in the case of the command.
    assert [line.lower() for line in received if line.upper().startswith("RCPT")] == [
        "rcpt to:<ops@example.com>", "rcpt to:<ada@example.com>"
    ]  # fmt: skip
    assert received.count("data") == 1
    assert "Subject: [Continuity] Consistency degraded: 1 check new (database default)" in received
    assert all(line in received for line in notice.text.splitlines())


def test_a_mail_server_that_refuses_every_address_is_a_problem(mail_server: TakeMail, notice: Notice) -> None:
    mail_server("ops@example.com", "ada@example.com")
    assert delivery.send(notice) == ["e-mail: failed with SMTPRecipientsRefused"]


def test_a_mail_server_that_hangs_costs_the_timeout_at_most(settings: Any, receive: Receive, notice: Notice) -> None:
    received = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with hanging() as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        began = time.monotonic()
        assert delivery.send(notice, timeout=1.0) == ["e-mail: no answer within 1 s"]
    assert time.monotonic() - began < 8
    assert len(received) == 1


def test_a_mail_server_that_is_away_hinders_no_webhook(settings: Any, receive: Receive, notice: Notice) -> None:
    received = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    assert delivery.send(notice) == ["e-mail: connection refused"]
    assert len(received) == 1


# --- Preview ---------------------------------------------------------------------------------------------
def test_a_preview_names_the_channels_and_no_address(settings: Any, recorded: Recorded, notice: Notice) -> None:
    point(settings, 9)
    settings.ADMINS = [("", "ops@example.com")]
    text = delivery.preview(recorded)
    assert text.startswith("Would be sent to webhook and e-mail.\n")
    assert json.dumps(notice.as_dict(), indent=2) in text
    assert not [secret for secret in (SECRET, "hunter2", "ops@") if secret in text]
