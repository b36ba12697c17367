"""The three stores everything rests on: a connection to each that a probe keeps, and what its answer means."""

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.db import DEFAULT_DB_ALIAS, connections
from django_redis.cache import RedisCache  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, ResponseError

from health.registry import Degraded, Failed

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

TIMEOUT: Final = 1
KEY: Final = "continuity:health"
KEY_SECONDS: Final = 10
# What Redis says when it answers, but will not write.
HALF: Final = {
    "MISCONF": "cannot save to disk, refuses writes",
    "NOREPLICAS": "too few replicas, refuses writes",
    "MASTERDOWN": "its primary is down",
    "LOADING": "loading its data",
    "NOPERM": "not permitted to write",
}


def ask_postgres() -> None:
    """One round trip."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")


# --- Redis -----------------------------------------------------------------------------------------------
class RedisConnection:
    """A connection as the cache's settings describe it, in a pool of its own, so that closing it harms nobody else."""

    def __init__(self) -> None:
        cache: RedisCache = caches.create_connection(DEFAULT_CACHE_ALIAS)
        factory = cache.client.connection_factory
        parameters = factory.make_connection_params(settings.REDIS_URL)
        self.redis = Redis(connection_pool=factory.get_connection_pool(parameters))

    def close(self) -> None:
        """End the connection, also one that another thread is waiting on."""
        self.redis.connection_pool.disconnect(inuse_connections=True)


def ask_redis(connection: RedisConnection) -> None:
    """PING, and write a tiny value: a replica, a full or a half-broken server answers the first but not the second."""
    try:
        connection.redis.ping()
        connection.redis.set(KEY, "1", ex=KEY_SECONDS)
    except BusyLoadingError as problem:
        raise Degraded(HALF["LOADING"]) from problem
    except ReadOnlyError as problem:
        raise Degraded("read-only") from problem
    except OutOfMemoryError as problem:
        raise Degraded("out of memory, refuses writes") from problem
    except ResponseError as problem:
        if words := HALF.get(str(problem).partition(" ")[0]):
            raise Degraded(words) from problem
        raise


# --- Qdrant ----------------------------------------------------------------------------------------------
def qdrant_client() -> "QdrantClient":
    """A client with the real key. The library takes over a second to import, so only the probe's thread does it."""
    from qdrant_client import QdrantClient

    return QdrantClient(
        url=settings.QDRANT_URL,
        # As a header: given as `api_key`, the library warns of plain HTTP, which is usual inside a private network.
        headers={"api-key": settings.QDRANT_API_KEY} if settings.QDRANT_API_KEY else {},
        timeout=TIMEOUT,
        check_compatibility=False,
    )


def ask_qdrant(client: "QdrantClient") -> None:
    """Look at every named collection, or at their list where none is named: Qdrant's own readiness ignores the key."""
    if not settings.QDRANT_COLLECTIONS:
        client.get_collections()
    # The worst last, so that an error is not hidden behind a collection that is only optimising.
    half = [state for name in settings.QDRANT_COLLECTIONS if (state := _collection_state(client, name)) != "green"]
    if half:
        raise Degraded(f"a collection is {half[0]}")


def _collection_state(client: "QdrantClient", name: str) -> str:
    from qdrant_client.http.exceptions import UnexpectedResponse

    try:
        state = client.get_collection(name).status.value
    except UnexpectedResponse as problem:
        if problem.status_code == 404:
            raise Failed("a collection is missing") from problem
        raise
    if state == "red":
        raise Failed("a collection is red")
    return state
