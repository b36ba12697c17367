"""Qdrant's own engine behind the few REST calls that are used here, so that clients talk to it as to the real server.

The engine (qdrant-edge) is a library that locks its folder to one process; this is that process. Paths, answers and
errors are those of Qdrant's REST API; what is not used by demo and tests is absent and answers 404.
"""

import argparse
import hmac
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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

OPEN_PATHS = {"/", "/healthz", "/readyz", "/livez"}  # the real server asks for no key here either
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
OPTIMIZER = {"default_segment_number": 0, "flush_interval_sec": 5, "indexing_threshold": 10_000}

Json = dict[str, Any]


class RefusalError(Exception):
    """An answer that is no success: HTTP status and Qdrant's words for it."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class Engine:
    """All collections of one folder: `<name>/` is the engine's, `<name>.json` what the collection was created with."""

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
        created = json.loads(self._record(name).read_text())
        return {
            "status": "green",
            "optimizer_status": "ok",
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "config": {"params": {"vectors": created["vectors"]}, "hnsw_config": HNSW, "optimizer_config": OPTIMIZER},
            "payload_schema": {},
        }

    def create(self, name: str, vectors: Json) -> bool:
        with self._lock:
            if name in self._shards:
                raise RefusalError(409, f"Wrong input: Collection `{name}` already exists!")
            shutil.rmtree(self._folder / name, ignore_errors=True)  # of a creation that was interrupted
            params = EdgeVectorParams(size=vectors["size"], distance=getattr(Distance, vectors["distance"]))
            self._shards[name] = EdgeShard.create(str(self._folder / name), EdgeConfig(vectors=params))
            self._record(name).write_text(json.dumps({"vectors": vectors}))
        return True

    def delete(self, name: str) -> bool:
        with self._lock:
            shard = self._shards.pop(name, None)
            if shard:
                self._record(name).unlink()
                shard.close()
                shutil.rmtree(self._folder / name)
        return shard is not None

    def upsert(self, name: str, points: list[Json]) -> Json:
        found = [Point(_identifier(point["id"]), point["vector"], point.get("payload") or {}) for point in points]
        self._shard(name).update(UpdateOperation.upsert_points(found))
        return {"operation_id": 0, "status": "completed"}

    def count(self, name: str, exact: bool) -> Json:
        return {"count": self._shard(name).count(CountRequest(exact=exact))}

    def scroll(self, name: str, body: Json) -> Json:
        offset = body.get("offset")
        records, following = self._shard(name).scroll(
            ScrollRequest(
                offset=None if offset is None else _identifier(offset),
                limit=body.get("limit") or 10,
                with_payload=body.get("with_payload", True),
                with_vector=body.get("with_vector", False),
            )
        )
        points = [{"id": _plain(row.id), "payload": row.payload, "vector": row.vector} for row in records]
        return {"points": points, "next_page_offset": _plain(following)}

    def _shard(self, name: str) -> EdgeShard:
        with suppress(KeyError):
            return self._shards[name]
        raise RefusalError(404, f"Not found: Collection `{name}` doesn't exist!")

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _identifier(value: int | str) -> int | UUID:
    """A point's id as the engine takes it: a number or a UUID."""
    return value if isinstance(value, int) else UUID(value)


def _plain(identifier: int | str | UUID | None) -> int | str | None:
    return str(identifier) if isinstance(identifier, UUID) else identifier


# --- HTTP ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Route:
    """One call: its method, its path with the collection as group, and what answers it."""

    method: str
    path: str
    answer: Callable[[Engine, str, Json], Any]


NAME = "/collections/([A-Za-z0-9_-]{1,255})"
ROUTES = [
    Route("GET", "/collections()", lambda engine, _, __: engine.collections()),
    Route("GET", f"{NAME}/exists", lambda engine, name, _: engine.exists(name)),
    Route("GET", NAME, lambda engine, name, _: engine.describe(name)),
    Route("PUT", NAME, lambda engine, name, body: engine.create(name, body["vectors"])),
    Route("DELETE", NAME, lambda engine, name, _: engine.delete(name)),
    Route("PUT", f"{NAME}/points", lambda engine, name, body: engine.upsert(name, body["points"])),
    Route("POST", f"{NAME}/points/count", lambda engine, name, body: engine.count(name, body.get("exact", True))),
    Route("POST", f"{NAME}/points/scroll", lambda engine, name, body: engine.scroll(name, body)),
]


class Handler(BaseHTTPRequestHandler):
    """Translates one request; which engine and key is the server's."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: a second one would wait for the client's delayed acknowledgement
    server: "QdrantServer"

    def handle_any(self) -> None:
        """Read, check the key, answer: in this order, since an unread body would be taken for the next request."""
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        try:
            self._require_key(path)
            if path in OPEN_PATHS - {"/"}:
                return self._send(200, b"healthz check passed", "text/plain")
            self._send_json(
                200, self._home() if path == "/" else self._envelope(began, result=self._answer(path, body))
            )
        except PermissionError as refused:
            self._send(401, str(refused).encode(), "text/plain")
        except RefusalError as refused:
            self._send_json(refused.status, self._envelope(began, error=str(refused)))
        except Exception as wrong:  # the engine raises no narrower type
            self._send_json(400, self._envelope(began, error=f"Wrong input: {wrong}"))

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the base class finds them by name

    def _require_key(self, path: str) -> None:
        wanted, given = self.server.api_key, self.headers.get("api-key")
        if not wanted or path in OPEN_PATHS:
            return
        given = given or self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            raise PermissionError("Must provide an API key or an Authorization bearer token")
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise PermissionError("Invalid API key or JWT")

    def _answer(self, path: str, body: bytes) -> Any:
        for route in ROUTES:
            if route.method == self.command and (match := re.fullmatch(route.path, path)):
                return route.answer(self.server.engine, match[1], json.loads(body or b"{}"))
        raise RefusalError(404, "Not found")

    def _home(self) -> Json:
        # Clients compare the version with their own and warn; the engine has no server version to give.
        return {"title": "qdrant - vector search engine", "version": version("qdrant-client")}

    def _envelope(self, began: float, *, result: Any = None, error: str = "") -> Json:
        status: Mapping[str, str] | str = {"error": error} if error else "ok"
        content = {} if error else {"result": result}
        return content | {"status": status, "time": time.perf_counter() - began}

    def _send_json(self, status: int, content: Json) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the log is for what goes wrong."""


class QdrantServer(ThreadingHTTPServer):
    """Listens on loopback only."""

    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, api_key: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = engine
        self.api_key = api_key


def main(argv: list[str] | None = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="qdrant_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--api-key", default=os.environ.get("QDRANT__SERVICE__API_KEY", ""))
    options = parser.parse_args(argv)
    try:
        QdrantServer(options.port, Engine(options.data), options.api_key).serve_forever()
    except Exception as problem:  # the engine raises no narrower type
        sys.exit(f"cannot serve {options.data} on port {options.port}: {problem}")


if __name__ == "__main__":
    main()
