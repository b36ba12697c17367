"""Servers that send recorded answers, for states of a server that no test can bring about."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from config.demo.process import HOST

NO_TLS = b"N"
HTML = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def answering(*replies: bytes) -> Iterator[int]:
    """Yield the port of a server that sends one reply to each message of a client, and then hangs up."""
    with socket.create_server((HOST, 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, replies))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listener: socket.socket, replies: tuple[bytes, ...]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.settimeout(5)
                for reply in replies:
                    client.recv(4096)
                    client.sendall(reply)


def refusal(words: str, state: str = "57P03") -> bytes:
    """Return PostgreSQL's message that refuses a connection in these words."""
    fields = f"SFATAL\0VFATAL\0C{state}\0M{words}\0\0".encode()
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


def http(status: int, body: bytes = b"") -> bytes:
    """Return an HTTP answer."""
    return f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
