"""Who gets notices, for tests: webhook receivers and mail servers, well and unwell."""

import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

Receive = Callable[..., list[tuple[Any, bytes]]]
TakeMail = Callable[..., list[str]]
SECRET = "a secret that only two know"


class Threads(socketserver.ThreadingTCPServer):
    """One for each who connects; none of them keeps the tests from ending."""

    daemon_threads = True


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with the codes it is given, the last one for ever; with 0 it says nothing until the other side goes."""

    codes: list[int]
    got: list[tuple[Any, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers, body))
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if not code:
            self.connection.recv(1)
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Length", "0")
        # For who would follow it.
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def point(settings: Any, port: int) -> None:
    settings.CONSISTENCY_WEBHOOK_URL = f"http://127.0.0.1:{port}/hooks/hunter2"
    settings.CONSISTENCY_WEBHOOK_SECRET = SECRET


def receiving(settings: Any, stack: ExitStack, *codes: int) -> list[tuple[Any, bytes]]:
    """Start a receiver that answers so, name it in the settings; returns what it gets."""
    handler = type("Handler", (Receiver,), {"codes": list(codes), "got": []})
    point(settings, _served(stack, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)))
    return handler.got  # type: ignore[attr-defined, no-any-return]


def _served(stack: ExitStack, server: socketserver.TCPServer) -> int:
    stack.enter_context(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    stack.callback(server.shutdown)
    return int(server.server_address[1])


@contextmanager
def hanging() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def sending() -> list[threading.Thread]:
    """The threads that send notices now."""
    return [thread for thread in threading.enumerate() if thread.name == "notice"]


class Drip(socketserver.BaseRequestHandler):
    """Answers a byte at a time, without end."""

    def handle(self) -> None:
        with suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                self.request.sendall(b"x")
                time.sleep(0.05)


@contextmanager
def dripping() -> Iterator[int]:
    """A port that does."""
    with ExitStack() as stack:
        yield _served(stack, Threads(("127.0.0.1", 0), Drip))


class Mute(socketserver.BaseRequestHandler):
    """Listens until the other side has had enough."""

    heard: list[Any]

    def handle(self) -> None:
        self.heard.append(self.client_address)
        with suppress(OSError):
            while self.request.recv(65_536):
                pass


def saying_nothing(settings: Any, stack: ExitStack) -> list[Any]:
    """Start a receiver that does, name it in the settings; returns who came."""
    kind = type("Handler", (Mute,), {"heard": []})
    point(settings, _served(stack, Threads(("127.0.0.1", 0), kind)))
    return kind.heard  # type: ignore[attr-defined, no-any-return]


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


def taking_mail(settings: Any, stack: ExitStack, *refused: str) -> list[str]:
    """Start a mail server, name it in the settings; returns what it is told."""
    kind = type("Handler", (MailServer,), {"refused": refused, "got": []})
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = _served(stack, Threads(("127.0.0.1", 0), kind))
    settings.ADMINS = [("", "ops@example.com"), ("", "ada@example.com")]
    return kind.got  # type: ignore[attr-defined, no-any-return]
