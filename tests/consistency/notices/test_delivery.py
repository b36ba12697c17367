"""How notices get there: the webhook against servers that misbehave, and e-mail."""

import hashlib
import hmac
import json
import smtplib
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from django.core import mail

from config.demo.process import until
from consistency.notices import delivery
from consistency.notices.notice import Notice, notice_of
from consistency.recorder import scan_and_record
from consistency.selection import chosen
from tests.consistency.data import a_file
from tests.consistency.notices.receivers import SECRET, Receive, TakeMail, dripping, hanging, point

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def notice(transactional_db: None) -> Notice:
    a_file("one", "processing")
    done = scan_and_record(chosen(["stale_processing"]))
    assert done.scan
    made = notice_of(done.report, done.scan, "default")
    assert made
    return made


# --- The webhook -----------------------------------------------------------------------------------------
def test_a_webhook_is_signed_json(receive: Receive, notice: Notice) -> None:
    got = receive(204)
    assert delivery.send(notice) == []
    [(headers, body)] = got
    assert json.loads(body) == notice.as_dict()
    assert (headers["Content-Type"], headers["Continuity-Delivery"]) == ("application/json", str(notice.scan.id))
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
    assert [line for line in got if line.upper().startswith("RCPT")] == [
        "rcpt TO:<ops@example.com>", "rcpt TO:<ada@example.com>"
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
