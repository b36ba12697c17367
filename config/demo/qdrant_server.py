"""Serve the few calls of Qdrant's REST API that the demo and the tests need, on Qdrant's own engine.

The engine (qdrant-edge) is a library that locks its folder to a single process: this process. Paths, results and
errors are those of Qdrant's REST API. Other paths answer 404.
"""

import argparse
import hmac
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeVectorParams,
    Point,
    ScrollRequest,
    UpdateOperation,
)

HEALTH_PATHS = {"/healthz", "/readyz", "/livez"}
PUBLIC_PATHS = {"/", *HEALTH_PATHS}  # without a key, as in the real server
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
OPTIMIZER = {"default_segment_number": 0, "flush_interval_sec": 5, "indexing_threshold": 10_000}

Json = dict[str, Any]


class RequestError(Exception):
    """An HTTP status, and Qdrant's message."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class Engine:
    """The collections of a folder: `<name>/` belongs to the engine, `<name>.json` holds the parameters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._shards = {path.stem: EdgeShard.load(str(path.with_suffix(""))) for path in folder.glob("*.json")}

    def collections(self) -> Json:
        return {"collections": [{"name": name} for name in sorted(self._shards)]}

    def exists(self, name: str) -> Json:
        return {"exists": name in self._shards}

    def describe(self, name: str) -> Json:
        info = self._shard(name).info()
        vectors = json.loads(self._parameters(name).read_text())["vectors"]
        return {
            "status": "green",
            "optimizer_status": "ok",
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "config": {"params": {"vectors": vectors}, "hnsw_config": HNSW, "optimizer_config": OPTIMIZER},
            "payload_schema": {},
        }

    def create(self, name: str, vectors: Json) -> bool:
        with self._lock:
            if name in self._shards:
                raise RequestError(409, f"Wrong input: Collection `{name}` already exists!")
            shutil.rmtree(self._folder / name, ignore_errors=True)  # left by an interrupted creation
            params = EdgeVectorParams(size=vectors["size"], distance=getattr(Distance, vectors["distance"]))
            self._shards[name] = EdgeShard.create(str(self._folder / name), EdgeConfig(vectors=params))
            self._parameters(name).write_text(json.dumps({"vectors": vectors}))
        return True

    def delete(self, name: str) -> bool:
        with self._lock:
            shard = self._shards.pop(name, None)
            if shard:
                self._parameters(name).unlink()
                shard.close()
                shutil.rmtree(self._folder / name)
        return shard is not None

    def upsert(self, name: str, points: list[Json]) -> Json:
        rows = [Point(_identifier(point["id"]), point["vector"], point.get("payload") or {}) for point in points]
        self._shard(name).update(UpdateOperation.upsert_points(rows))
        return {"operation_id": 0, "status": "completed"}

    def count(self, name: str, exact: bool) -> Json:
        return {"count": self._shard(name).count(CountRequest(exact=exact))}

    def scroll(self, name: str, body: Json) -> Json:
        offset = body.get("offset")
        request = ScrollRequest(
            offset=None if offset is None else _identifier(offset),
            limit=body.get("limit") or 10,
            with_payload=body.get("with_payload", True),
            with_vector=body.get("with_vector", False),
        )
        rows, following = self._shard(name).scroll(request)
        points = [{"id": _plain(row.id), "payload": row.payload, "vector": row.vector} for row in rows]
        return {"points": points, "next_page_offset": _plain(following)}

    def _shard(self, name: str) -> EdgeShard:
        with suppress(KeyError):
            return self._shards[name]
        raise RequestError(404, f"Not found: Collection `{name}` doesn't exist!")

    def _parameters(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _identifier(value: int | str) -> int | UUID:
    return value if isinstance(value, int) else UUID(value)


def _plain(identifier: int | str | UUID | None) -> int | str | None:
    return str(identifier) if isinstance(identifier, UUID) else identifier


# --- HTTP ------------------------------------------------------------------------------------------------
NAME = "/collections/([A-Za-z0-9_-]{1,255})"
ROUTES: list[tuple[str, str, Callable[[Engine, str, Json], Any]]] = [
    ("GET", "/collections()", lambda engine, _, __: engine.collections()),
    ("GET", f"{NAME}/exists", lambda engine, name, _: engine.exists(name)),
    ("GET", NAME, lambda engine, name, _: engine.describe(name)),
    ("PUT", NAME, lambda engine, name, body: engine.create(name, body["vectors"])),
    ("DELETE", NAME, lambda engine, name, _: engine.delete(name)),
    ("PUT", f"{NAME}/points", lambda engine, name, body: engine.upsert(name, body["points"])),
    ("POST", f"{NAME}/points/count", lambda engine, name, body: engine.count(name, body.get("exact", True))),
    ("POST", f"{NAME}/points/scroll", lambda engine, name, body: engine.scroll(name, body)),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet, to avoid the client's delayed acknowledgement
    server: "QdrantServer"

    def handle_any(self) -> None:
        began = time.perf_counter()
        # Before any answer: the connection would take an unread body for the next request.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        try:
            self._require_key(path)
            if path in HEALTH_PATHS:
                self._send(200, "healthz check passed")
            elif path == "/":
                # Clients compare the version with their own, and the engine has no server version.
                home = {"title": "qdrant - vector search engine", "version": version("qdrant-client")}
                self._send_json(200, began, home)
            else:
                self._send_json(200, began, {"result": self._result(path, body), "status": "ok"})
        except PermissionError as error:
            self._send(401, str(error))
        except RequestError as error:
            self._send_json(error.status, began, {"status": {"error": str(error)}})
        except Exception as error:  # the engine raises no narrower type
            self._send_json(400, began, {"status": {"error": f"Wrong input: {error}"}})

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names of the base class

    def _require_key(self, path: str) -> None:
        if not self.server.api_key or path in PUBLIC_PATHS:
            return
        key = self.headers.get("api-key") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not key:
            raise PermissionError("Must provide an API key or an Authorization bearer token")
        if not hmac.compare_digest(key.encode(), self.server.api_key.encode()):
            raise PermissionError("Invalid API key or JWT")

    def _result(self, path: str, body: bytes) -> Any:
        for method, pattern, answer in ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return answer(self.server.engine, match[1], json.loads(body or b"{}"))
        raise RequestError(404, "Not found")

    def _send_json(self, status: int, began: float, content: Json) -> None:
        self._send(status, json.dumps(content | {"time": time.perf_counter() - began}), "application/json")

    def _send(self, status: int, text: str, content_type: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log no requests: the log is for errors."""


class QdrantServer(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, api_key: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = engine
        self.api_key = api_key


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(prog="qdrant_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    api_key = os.environ.get("QDRANT__SERVICE__API_KEY", "")
    try:
        QdrantServer(options.port, Engine(options.data), api_key).serve_forever()
    except Exception as problem:  # the engine raises no narrower type
        sys.exit(f"cannot serve {options.data} on port {options.port}: {problem}")


if __name__ == "__main__":
    main()
