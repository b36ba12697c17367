"""Small HTTP servers that answer as SFTPGo and TMDB."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from config.demo.process import HOST

ACTIVE = {"is_active": True}
SFTPGO = {"/api/v2/status": {"ssh": ACTIVE, "ftp": ACTIVE, "webdav": ACTIVE, "data_provider": ACTIVE}}
TMDB = {"/configuration": {"images": {"base_url": "http://image.tmdb.org/t/p/"}}}


class StandIn:
    """Answers GET requests for a few paths with JSON."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                body = json.dumps(answers.get(path, {})).encode()
                self.send_response(200 if path in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="stand-in", daemon=True)
        self._thread.start()
        self.port: int = self._server.server_address[1]

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
