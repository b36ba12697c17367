"""How notices get there: the webhook against servers that misbehave, and e-mail."""

import hashlib
import hmac
import json
import logging
import re
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.db import connection

from config.demo.process import until
from consistency.history.recorder import scan_and_record
from consistency.notices import delivery
from consistency.notices.notice import Notice, notice_of
from consistency.scan.selection import chosen
from tests.consistency.data import a_file
from tests.consistency.notices.receivers import (
    SECRET,
    Receive,
    TakeMail,
    dripping,
    hanging,
    point,
    saying_nothing,
    sending,
)

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def notice(transactional_db: None) -> Notice:
    a_file("one", "processing")
    done = scan_and_record(chosen(["stale_processing"]))
    assert done.scan
    made = notice_of(done.report, done.scan, "default")
    assert made
    return made


@pytest.fixture
def silent_receiver(settings: Any) -> Iterator[list[Any]]:
    with ExitStack() as stack:
        yield saying_nothing(settings, stack)


# --- The webhook -----------------------------------------------------------------------------------------
def test_a_webhook_is_signed_json(receive: Receive, notice: Notice) -> None:
    got = receive(204)
    assert delivery.send(notice) == []
    [(headers, body)] = got
    assert json.loads(body) == notice.as_dict()
    assert headers["Content-Type"] == "application/json"
    parts = dict(part.split("=") for part in headers["Continuity-Signature"].split(","))
    assert abs(int(parts["t"]) - time.time()) < 60
    wanted = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], wanted)


def test_a_receiver_that_fails_gets_the_same_again(
    receive: Receive, notice: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.05)
    got = receive(500, 408, 425, 429, 503, 200)
    assert delivery.send(notice) == []
    assert len({(headers["Continuity-Delivery"], body) for headers, body in got}) == 1
    assert len(got) == 6


def test_the_same_scan_number_of_two_installations_is_two_deliveries(receive: Receive, notice: Notice) -> None:
    got = receive(204)
    delivery.send(notice)
    delivery.send(notice)
    assert len({UUID(headers["Continuity-Delivery"]) for headers, _ in got}) == 2


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the pauses between tries would be: nobody waits for them."""
    found: list[float] = []
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    monkeypatch.setattr("time.sleep", found.append)
    return found


def test_the_pause_between_two_tries_doubles(receive: Receive, notice: Notice, naps: list[float]) -> None:
    receive(500, 500, 500, 500, 200)
    assert delivery.send(notice) == []
    assert naps == [0.5, 1, 2, 4]


def test_a_try_that_would_be_too_short_is_not_made(
    receive: Receive, notice: Notice, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SHORTEST_TRY", 9.0)
    got = receive(500, 500, 200)
    assert delivery.send(notice, seconds=9.2) == ["webhook: answered 500"]
    assert (len(got), naps) == (1, [])


def test_one_try_that_hangs_leaves_time_for_others(
    silent_receiver: list[Any], notice: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ONE_TRY", 0.2)
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.01)
    assert delivery.send(notice, seconds=3.0) == ["webhook: no answer in time"]
    assert len(silent_receiver) > 1


def test_a_receiver_that_hangs_once_is_asked_again_in_time(receive: Receive, notice: Notice) -> None:
    got = receive(0, 200)
    assert delivery.send(notice) == []
    assert len({headers["Continuity-Delivery"] for headers, _ in got}) == 1
    assert len(got) == 2


@pytest.mark.parametrize("host", ["exa mple", "x" * 64, "\u2603.example"])
def test_what_nobody_foresaw_is_a_line_without_an_address_and_no_traceback(
    settings: Any, notice: Notice, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    settings.CONSISTENCY_WEBHOOK_URL = f"http://{host}/hooks/hunter2"
    [problem] = delivery.send(notice, seconds=2.0)
    assert re.fullmatch(r"webhook: (unexpected error \(\w+\)|no connection)", problem)
    assert not tracebacks(caplog)


@contextmanager
def forgotten() -> Iterator[None]:
    """While nobody knows what the scans before found."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consistency_scancheck RENAME TO elsewhere")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO consistency_scancheck")


def test_a_memory_that_cannot_be_asked_is_a_line_and_no_traceback(
    receive: Receive, notice: Notice, caplog: pytest.LogCaptureFixture
) -> None:
    receive(200)
    with forgotten():
        told = delivery.tell(notice.report, notice.scan, "default")
    assert told == ["what the scans before found cannot be read"]
    assert not tracebacks(caplog)


def test_a_memory_that_cannot_be_asked_fails_no_request_that_has_recorded_its_scan(
    receive: Receive, notice: Notice, caplog: pytest.LogCaptureFixture
) -> None:
    got = receive(200)
    with forgotten():
        delivery.tell_later(notice.report, notice.scan, "default")
    assert (got, sending()) == ([], [])
    assert [record.message for record in caplog.records if record.name == delivery.__name__] == [
        "What a notice compares with could not be read"
    ]


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the settings' usual LOG_LEVEL would print with one."""
    return [record for record in caplog.records if record.exc_info and record.levelno > logging.DEBUG]


@pytest.mark.parametrize("code", [301, 400, 404, 410])
def test_a_receiver_that_refuses_is_not_asked_again(receive: Receive, notice: Notice, code: int) -> None:
    got = receive(code)
    assert delivery.send(notice) == [f"webhook: answered {code}"]
    assert len(got) == 1


def test_a_receiver_that_fails_for_ever_is_given_up(receive: Receive, notice: Notice) -> None:
    got = receive(500)
    assert delivery.send(notice, seconds=2.5) == ["webhook: answered 500"]
    assert len(got) > 1


def test_a_receiver_that_hangs_holds_nobody_up_for_long(settings: Any, notice: Notice) -> None:
    with hanging() as port:
        point(settings, port)
        began = time.monotonic()
        [problem] = delivery.send(notice, seconds=1.0)
    assert problem in ("webhook: no answer in time", "webhook: not done within 1 s")
    assert time.monotonic() - began < 8


def test_a_receiver_that_drips_keeps_no_thread(settings: Any, notice: Notice) -> None:
    with dripping() as port:
        point(settings, port)
        before = threading.active_count()
        assert delivery.send(notice, seconds=1.0)
        assert any(threading.active_count() <= before for _ in until(10))


def test_a_receiver_that_speaks_no_tls_is_told_apart(settings: Any, receive: Receive, notice: Notice) -> None:
    receive(200)
    settings.CONSISTENCY_WEBHOOK_URL = settings.CONSISTENCY_WEBHOOK_URL.replace("http:", "https:")
    [problem] = delivery.send(notice, seconds=0.8)
    assert problem.startswith("webhook: no TLS with it: is its certificate trusted")


def test_a_receiver_that_is_away_is_told_without_its_address(settings: Any, notice: Notice) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    point(settings, port)
    assert delivery.send(notice, seconds=1.0) == ["webhook: no connection"]


# --- E-mail ----------------------------------------------------------------------------------------------
def test_admins_get_one_mail(settings: Any, notice: Notice) -> None:
    settings.ADMINS = [("", "ops@example.com"), ("", "ada@example.com")]
    assert delivery.send(notice) == []
    [sent] = mail.outbox
    assert sent.to == ["ops@example.com", "ada@example.com"]
    assert sent.subject == "[Continuity] Consistency degraded: 1 check new (database default)"
    assert sent.body == notice.text


def test_a_real_mail_server_takes_one_message_for_all(mail_server: TakeMail, notice: Notice) -> None:
    got = mail_server()
    assert delivery.send(notice) == []
    # Python versions differ in how they write the command.
    assert [line.lower() for line in got if line.upper().startswith("RCPT")] == [
        "rcpt to:<ops@example.com>", "rcpt to:<ada@example.com>"
    ]  # fmt: skip
    assert got.count("data") == 1
    assert "Subject: [Continuity] Consistency degraded: 1 check new (database default)" in got
    assert all(line in got for line in notice.text.splitlines())


def test_a_mail_server_that_refuses_everybody_is_told(mail_server: TakeMail, notice: Notice) -> None:
    mail_server("ops@example.com", "ada@example.com")
    assert delivery.send(notice) == ["e-mail: the mail server did not take it (SMTPRecipientsRefused)"]


def test_a_mail_server_that_hangs_holds_nobody_up_for_long(settings: Any, receive: Receive, notice: Notice) -> None:
    got = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with hanging() as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        began = time.monotonic()
        assert delivery.send(notice, seconds=1.0) == ["e-mail: not done within 1 s"]
    assert time.monotonic() - began < 8
    assert len(got) == 1


def test_a_mail_server_that_is_away_hinders_no_webhook(settings: Any, receive: Receive, notice: Notice) -> None:
    got = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        settings.EMAIL_PORT = free.getsockname()[1]
    assert delivery.send(notice) == ["e-mail: the mail server did not take it (ConnectionRefusedError)"]
    assert len(got) == 1
    assert issubclass(smtplib.SMTPException, OSError)
