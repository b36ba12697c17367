"""The WSGI entry, for servers without ASGI. Slow clients can occupy every thread: config/asgi.py prevents that."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.postgres.deadline import deadline
from config.serving.entry import health_reply, request_timeout, start

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Application:
    """Answer health addresses from the snapshot, and let Django answer all other requests within a deadline."""

    def __init__(self, django: "WSGIApplication") -> None:
        self._django = django

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if reply := health_reply(path, environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")):
            start_response(reply.status, reply.headers)
            return [reply.body]
        with deadline(request_timeout(path)):
            return self._django(environ, start_response)


application = Application(start())
