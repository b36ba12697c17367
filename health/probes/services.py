"""Checks of PostgreSQL, Redis and Qdrant, and the connections that their probes keep."""

from typing import Final
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.db import DEFAULT_DB_ALIAS, connections
from django_redis.cache import RedisCache  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import RedisError

from common.errors import meaning_of
from common.meanings import GARBAGE, Kind
from health.probes.answers import json_object
from health.registry import Degraded, Failed

TIMEOUT: Final = 1
KEY: Final = "continuity:health"
KEY_SECONDS: Final = 10
QDRANT_PORT: Final = 6333
STATES: Final = ("green", "yellow", "grey", "red")


def check_postgres() -> None:
    """Send one query."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")


# --- Redis -----------------------------------------------------------------------------------------------
class RedisConnection:
    """A connection with the settings of the cache, in a separate pool, so that a close affects the probe only."""

    def __init__(self) -> None:
        cache: RedisCache = caches.create_connection(DEFAULT_CACHE_ALIAS)
        factory = cache.client.connection_factory
        parameters = factory.make_connection_params(settings.REDIS_URL)
        self.redis = Redis(connection_pool=factory.get_connection_pool(parameters))

    def close(self) -> None:
        """Close the connection, even while another thread waits for an answer."""
        self.redis.connection_pool.disconnect(inuse_connections=True)


def check_redis(connection: RedisConnection) -> None:
    """Send a PING and write a small value: a replica or a full server answers the PING but refuses the write."""
    try:
        connection.redis.ping()
        connection.redis.set(KEY, "1", ex=KEY_SECONDS)
    except RedisError as error:
        if (meaning := meaning_of(error)) and meaning.kind is Kind.REFUSED:
            raise Degraded(meaning.words) from error
        raise
    except (AttributeError, TypeError, ValueError) as error:  # redis-py trusts the form of the answer
        raise Failed(GARBAGE.words) from error


# --- Qdrant ----------------------------------------------------------------------------------------------
def qdrant_client() -> httpx.Client:
    """Return an HTTP client with the API key. The import of qdrant-client would take a second of CPU time."""
    has_port = urlsplit(settings.QDRANT_URL).port is not None
    return httpx.Client(
        base_url=settings.QDRANT_URL if has_port else httpx.URL(settings.QDRANT_URL, port=QDRANT_PORT),
        headers={"api-key": settings.QDRANT_API_KEY} if settings.QDRANT_API_KEY else {},
        timeout=TIMEOUT,
    )


def check_qdrant(client: httpx.Client) -> None:
    """Read the state of every configured collection, else the list of collections.

    Qdrant's own readiness endpoint ignores the key.
    """
    if not settings.QDRANT_COLLECTIONS:
        json_object(client.get("/collections"))
    # All collections are read before Degraded is raised: a missing or red collection is worse.
    states = [_collection_state(client, name) for name in settings.QDRANT_COLLECTIONS]
    if unwell := [state for state in states if state != "green"]:
        raise Degraded(f"a collection is {unwell[0]}")


def _collection_state(client: httpx.Client, name: str) -> str:
    response = client.get(f"/collections/{quote(name, safe='')}")
    if response.status_code == httpx.codes.NOT_FOUND:
        raise Failed("a collection is missing")
    result = json_object(response).get("result")
    state = result.get("status") if isinstance(result, dict) else None
    if state not in STATES:
        raise Failed("the answer is unexpected JSON")
    if state == "red":
        raise Failed("a collection is red")
    return str(state)
