"""Webhook receivers and mail servers for tests, well-behaved and broken."""

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


class ThreadedServer(socketserver.ThreadingTCPServer):
    """One daemon thread per connection."""

    daemon_threads = True


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answer with the given codes; the last code repeats."""

    codes: list[int]
    received: list[tuple[Any, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.headers, body))
        self.send_response(self.codes.pop(0) if len(self.codes) > 1 else self.codes[0])
        self.send_header("Content-Length", "0")
        # For a client that follows redirects.
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def point(settings: Any, port: int) -> None:
    settings.CONSISTENCY_WEBHOOK_URL = f"http://127.0.0.1:{port}/hooks/hunter2"
    settings.CONSISTENCY_WEBHOOK_SECRET = SECRET


def receiving(settings: Any, stack: ExitStack, *codes: int) -> list[tuple[Any, bytes]]:
    """Start a receiver that answers with these codes, configure the webhook; return the list of its requests."""
    handler = type("Handler", (Receiver,), {"codes": list(codes), "received": []})
    point(settings, _serve(stack, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)))
    return handler.received  # type: ignore[attr-defined, no-any-return]


def _serve(stack: ExitStack, server: socketserver.TCPServer) -> int:
    stack.enter_context(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    stack.callback(server.shutdown)
    return int(server.server_address[1])


@contextmanager
def hanging() -> Iterator[int]:
    """Yield a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def sending() -> list[threading.Thread]:
    """Return the threads that send notices now."""
    return [thread for thread in threading.enumerate() if thread.name == "notice"]


class Drip(socketserver.BaseRequestHandler):
    """Answer a byte at a time, without end."""

    def handle(self) -> None:
        with suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                self.request.sendall(b"x")
                time.sleep(0.05)


@contextmanager
def dripping() -> Iterator[int]:
    """Yield a port that drips."""
    with ExitStack() as stack:
        yield _serve(stack, ThreadedServer(("127.0.0.1", 0), Drip))


class MailServer(socketserver.StreamRequestHandler):
    """Take mail, except for the refused addresses."""

    refused: tuple[str, ...]
    received: list[str]

    def handle(self) -> None:
        self.say("220 here")
        for line in iter(self.rfile.readline, b""):
            word, text = line[:4].upper(), line.decode().strip()
            self.received.append(text)
            if word == b"DATA":
                self.say("354 go on")
                self.received += [line.decode().rstrip() for line in iter(self.rfile.readline, b".\r\n")]
            refused = word == b"RCPT" and any(address in text for address in self.refused)
            self.say("550 nobody" if refused else "250 well")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def taking_mail(settings: Any, stack: ExitStack, *refused: str) -> list[str]:
    """Start a mail server, configure e-mail; return the list of the lines that the server receives."""
    handler = type("Handler", (MailServer,), {"refused": refused, "received": []})
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = _serve(stack, ThreadedServer(("127.0.0.1", 0), handler))
    settings.ADMINS = [("", "ops@example.com"), ("", "ada@example.com")]
    return handler.received  # type: ignore[attr-defined, no-any-return]
