"""Notices: what is worth one, the webhook against servers that misbehave, e-mail, and what would be sent."""

import hashlib
import hmac
import http.server
import json
import smtplib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from config.demo.process import until
from consistency import delivery
from consistency.memory_models import Anomaly, Mute, Scan
from consistency.models import File
from consistency.notices import NEW, RECOVERED, WORSE, Notice, notice_of
from consistency.recorder import recording, scan_and_record
from consistency.registry import Check, CheckError
from consistency.scanner import scan
from consistency.selection import chosen
from consistency.silence import acknowledge, mute, silence_of, unmute
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")
SECRET = "a secret that only two know"
LATER = timedelta(days=1)


def stale() -> list[Check]:
    return chosen(["stale_processing"])


def told(checks: list[Check] | None = None) -> Notice | None:
    """Scan and record; what there is to tell."""
    done = scan_and_record(checks or stale())
    assert done.scan, done.problem
    return notice_of(done.report, done.scan, "default")


def kinds(checks: list[Check] | None = None) -> list[str]:
    notice = told(checks)
    return [change.kind for change in notice.changes] if notice else []


# --- What is worth a notice ------------------------------------------------------------------------------
def test_what_is_new_or_back_is_told_once_and_never_that_it_is_still_there() -> None:
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW]
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    File.objects.filter(file_uuid="two").delete()
    assert kinds() == [], "fewer, but not well"
    File.objects.all().delete()
    assert kinds() == [RECOVERED]
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW], "returned"


def test_info_is_not_told() -> None:
    a_file("one", "unregistered")
    assert kinds(chosen(["unregistered_with_uuid"])) == []


def test_a_muted_check_is_not_told_neither_new_nor_clean_and_its_end_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known", sticky=True)
    assert kinds() == [], "silenced is not recovered"
    a_file("two", "processing")
    assert kinds() == []
    File.objects.all().delete()
    assert kinds() == []
    a_file("three", "processing")
    assert kinds() == []
    unmute("stale_processing")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_a_mute_that_is_exceeded_is_told() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known")
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    assert Mute.objects.get().ended_because == "exceeded"


def test_a_check_that_was_just_muted_has_not_recovered_though_some_of_it_did() -> None:
    a_file("one", "processing")
    a_file("two", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known")
    File.objects.filter(file_uuid="two").delete()
    assert kinds() == []


def test_what_is_acknowledged_is_not_told_and_its_end_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    [pk] = Anomaly.objects.values_list("pk", flat=True)
    acknowledge([pk], until=timezone.now() + LATER, by="ada", reason="known")
    assert kinds() == [], "silenced is not recovered"
    Anomaly.objects.update(acknowledged_until=timezone.now() - LATER)
    assert kinds() == [WORSE]


def test_a_check_that_cannot_run_is_told_once_muted_or_not_and_so_is_that_it_can_again(define: Define) -> None:
    broken = [True]

    def flaky() -> Any:
        if broken[0]:
            raise CheckError("the disk is away")
        return File.objects.none()

    check = [define("flaky", flaky)]
    mute("flaky", until=timezone.now() + LATER, by="ada", reason="known", sticky=True)
    assert kinds(check) == [WORSE]
    assert kinds(check) == []
    broken[0] = False
    assert kinds(check) == [RECOVERED]
    assert kinds(check) == []


def test_scans_of_other_checks_and_databases_between_change_nothing() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.create(
        database="replica", recorded_at=timezone.now(), trigger="command", actor="", complete=True, status="ok",
        duration_ms=1,
    ).checks.create(check_name="stale_processing", severity=2, outcome="clean", count=0, duration_ms=1)  # fmt: skip
    assert kinds(chosen(["unknown_status"])) == []
    assert kinds() == []


def test_that_it_is_still_there_is_not_told_though_the_scan_before_is_forgotten(settings: Any) -> None:
    settings.CONSISTENCY_KEEP_SCANS = 1
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.update(recorded_at=timezone.now() - timedelta(days=7))
    assert kinds() == []
    assert Scan.objects.count() == 1
    Scan.objects.update(recorded_at=timezone.now() - timedelta(days=7))
    File.objects.all().delete()
    assert kinds() == [RECOVERED]


def test_a_notice_has_counts_and_words_and_no_file_names() -> None:
    a_file("private", "processing")
    notice = told(chosen(["stale_processing", "orphaned_processing"]))
    assert notice is not None
    body = notice.as_dict()
    assert (body["event"], body["status"], body["recorded"]["new"]) == ("consistency.scan", "degraded", 2)
    assert [change["check"] for change in body["changes"]] == ["stale_processing", "orphaned_processing"]
    assert notice.subject == "Consistency degraded: 2 new (database default)"
    assert "new: stale_processing (warn): 1 new, 0 returned, 0 resolved; 1 in all" in notice.text
    assert "private" not in json.dumps(body) + notice.text


# --- The webhook -----------------------------------------------------------------------------------------
class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with the codes it is given, the last one for ever."""

    codes: list[int]
    got: list[tuple[Any, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers, body))
        self.send_response(self.codes.pop(0) if len(self.codes) > 1 else self.codes[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


Receive = Callable[..., list[tuple[Any, bytes]]]


@pytest.fixture
def receive(settings: Any) -> Iterator[Receive]:
    """Start a receiver that answers so, name it in the settings; returns what it gets."""
    servers = []

    def start(*codes: int) -> list[tuple[Any, bytes]]:
        handler = type("Handler", (Receiver,), {"codes": list(codes), "got": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
        point(settings, server.server_port)
        return handler.got  # type: ignore[attr-defined, no-any-return]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def point(settings: Any, port: int) -> None:
    settings.CONSISTENCY_WEBHOOK_URL = f"http://127.0.0.1:{port}/hooks/hunter2"
    settings.CONSISTENCY_WEBHOOK_SECRET = SECRET


@pytest.fixture
def notice(transactional_db: None) -> Notice:
    a_file("one", "processing")
    made = told()
    assert made
    return made


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


@contextmanager
def hanging() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def test_a_receiver_that_hangs_holds_nobody_up_for_long(settings: Any, notice: Notice) -> None:
    with hanging() as port:
        point(settings, port)
        began = time.monotonic()
        [problem] = delivery.send(notice, seconds=1.0)
    assert problem in ("webhook: no answer in time", "webhook: not done within 1 s")
    assert time.monotonic() - began < 8


@contextmanager
def dripping() -> Iterator[int]:
    """A port that answers a byte at a time, without end."""

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while True:
                    self.request.sendall(b"x")
                    time.sleep(0.05)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


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
    assert sent.subject == "[Continuity] Consistency degraded: 1 new (database default)"
    assert sent.body == notice.text


class MailServer(socketserver.StreamRequestHandler):
    """Takes mail, but for those that it refuses."""

    refused: tuple[str, ...]
    got: list[str]

    def handle(self) -> None:
        self.say("220 here")
        for line in iter(self.rfile.readline, b""):
            word, text = line[:4].upper(), line.decode().strip()
            self.got.append(text)
            if word == b"DATA":
                self.say("354 go on")
                self.got += [line.decode().rstrip() for line in iter(self.rfile.readline, b".\r\n")]
            refused = word == b"RCPT" and any(address in text for address in self.refused)
            self.say("550 nobody" if refused else "250 well")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def mail_server(settings: Any) -> Iterator[Callable[..., list[str]]]:
    """Start one, name it in the settings; returns what it is told."""
    with ExitStack() as stack:

        def start(*refused: str) -> list[str]:
            kind = type("Handler", (MailServer,), {"refused": refused, "got": []})
            server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
            settings.ADMINS = [("", "ops@example.com"), ("", "ada@example.com")]
            return kind.got  # type: ignore[attr-defined, no-any-return]

        yield start


def test_a_real_mail_server_takes_one_message_for_all(mail_server: Callable[..., list[str]], notice: Notice) -> None:
    got = mail_server()
    assert delivery.send(notice) == []
    assert [line for line in got if line.upper().startswith("RCPT")] == [
        "rcpt TO:<ops@example.com>", "rcpt TO:<ada@example.com>"
    ]  # fmt: skip
    assert got.count("data") == 1
    assert "Subject: [Continuity] Consistency degraded: 1 new (database default)" in got
    assert all(line in got for line in notice.text.splitlines())


def test_a_mail_server_that_refuses_everybody_is_told(mail_server: Callable[..., list[str]], notice: Notice) -> None:
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


# --- From a scan -----------------------------------------------------------------------------------------
def test_the_command_sends_one_message_before_it_ends_and_none_for_the_same_again(receive: Receive) -> None:
    got = receive(200)
    a_file("one", "processing")
    assert run()[0] == 1
    assert len(got) == 1
    assert run()[0] == 1
    assert len(got) == 1
    File.objects.all().delete()
    assert run("--quiet") == (0, "", "")
    assert [change["change"] for change in json.loads(got[1][1])["changes"]] == [RECOVERED, RECOVERED]


def test_a_notice_that_is_not_sent_changes_no_exit_code_and_stderr_says_why(receive: Receive) -> None:
    receive(404)
    a_file("one", "processing")
    code, out, err = run("--format", "json")
    assert (code, json.loads(out)["recorded"]["new"]) == (1, 2)
    assert err == "Notice not sent: webhook: answered 404.\n"


def test_a_scan_over_rest_or_the_admin_sends_without_waiting(settings: Any, receive: Receive) -> None:
    with hanging() as port:
        point(settings, port)
        a_file("one", "processing")
        began = time.monotonic()
        assert scan_and_record(stale()).scan
        assert time.monotonic() - began < delivery.ONE_TRY
    got = receive(200)
    a_file("two", "processing")
    scan_and_record(stale())
    assert any(got for _ in until(10))


def test_without_recording_nothing_is_sent(receive: Receive) -> None:
    got = receive(200)
    a_file("one", "processing")
    assert run("--no-record")[0] == 1
    assert got == []


# --- What would be sent ----------------------------------------------------------------------------------
def test_a_dry_run_shows_it_sends_nothing_and_remembers_nothing(receive: Receive, settings: Any) -> None:
    got = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "stale_processing")
    assert (code, err, got, mail.outbox) == (1, "", [], [])
    assert "Would be sent to webhook and e-mail." in out
    assert '"change": "new"' in out
    assert SECRET not in out
    assert "hunter2" not in out
    assert (Scan.objects.count(), Anomaly.objects.count()) == (0, 0)
    run("stale_processing")
    assert len(got) == 1, "it was still news"
    assert "No notice: nothing is new" in run("--dry-run-notices", "stale_processing")[1]


def test_a_dry_run_leaves_a_report_for_programs_alone() -> None:
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "--format", "json")
    assert (code, json.loads(out)["recorded"]) == (1, None)
    assert "nobody: neither CONSISTENCY_WEBHOOK_URL nor ADMINS is set" in err


def test_a_dry_run_needs_the_memory() -> None:
    code, _, err = run("--dry-run-notices", "--no-record")
    assert (code, "--dry-run-notices needs the memory" in err) == (2, True)


def test_a_book_that_is_not_kept_says_what_would_be_recorded_and_frees_the_lock() -> None:
    a_file("one", "processing")
    for _ in range(2):
        with recording("default", trigger="command", actor="", seconds=10, keep=False) as book:
            done = book.recorded(scan(stale(), sight=book.sight(silence_of(stale(), "default"))))
        assert done.scan
        assert (done.scan.news.new, Anomaly.objects.count()) == (1, 0)
