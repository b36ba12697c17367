"""The probes of the platform: services, resources, pipeline, schema, runtime switches, integrations."""

from typing import TYPE_CHECKING, TypedDict

from common.postgres.parameters import every_row
from health.models import RuntimeSwitch
from health.probes.checksums import Digests
from health.probes.integrations import (
    Sftpgo,
    Tmdb,
    inspect_sftpgo,
    inspect_tmdb,
    sftpgo_client,
    sftpgo_unknown,
    tmdb_client,
    tmdb_unknown,
)
from health.probes.pipeline import Pipeline, inspect_pipeline
from health.probes.resources import Resources, Sampler, measure_resources
from health.probes.schema import OwnMigrations, Schema, compare_migrations
from health.probes.services import RedisConnection, check_postgres, check_qdrant, check_redis, qdrant_client
from health.registry import probe

if TYPE_CHECKING:
    from httpx import Client


class Switches(TypedDict):
    cache: bool | None
    auto_pipeline: bool | None
    watcher: bool | None


@probe("postgres", ttl=2.0, essential=True)
def postgres() -> None:
    """PostgreSQL answers a query."""
    check_postgres()


@probe("redis", ttl=2.0, essential=True, client=RedisConnection)
def redis(connection: RedisConnection) -> None:
    """Redis answers a PING and accepts a write."""
    check_redis(connection)


@probe("qdrant", ttl=2.0, essential=True, client=qdrant_client)
def qdrant(client: "Client") -> None:
    """Qdrant accepts the API key, and each configured collection is green."""
    check_qdrant(client)


@probe("resources", ttl=1.0, section="resources", client=Sampler, refreshed=True)
def resources(sampler: Sampler) -> Resources:
    """CPU and memory in use."""
    return measure_resources(sampler)


@probe("pipeline", ttl=2.0, section="pipeline", client=Digests)
def pipeline(digests: Digests) -> Pipeline:
    """Scripts, processors, models and ffmpeg are in place, and scripts match their checksums."""
    return inspect_pipeline(digests)


@probe("schema", ttl=1.0, section="schema", requires=("postgres",), client=OwnMigrations)
def schema(own: OwnMigrations) -> Schema:
    """Every migration on disk is applied."""
    return compare_migrations(own)


@probe("config", ttl=1.0, section="config", requires=("postgres",))
def config() -> Switches:
    """The runtime switches can be read."""
    with every_row():
        enabled = dict(RuntimeSwitch.objects.values_list("name", "enabled"))
    return {
        "cache": enabled.get("cache"),
        "auto_pipeline": enabled.get("auto_pipeline"),
        "watcher": enabled.get("watcher"),
    }


@probe("tmdb", ttl=900.0, section="integrations.tmdb", client=tmdb_client, known=tmdb_unknown)
def tmdb(client: "Client | None") -> Tmdb:
    """TMDB can be reached."""
    return inspect_tmdb(client)


@probe("sftpgo", ttl=5.0, section=None, client=sftpgo_client, known=sftpgo_unknown)
def sftpgo(client: "Client | None") -> Sftpgo:
    """SFTPGo and its data provider are up."""
    return inspect_sftpgo(client)
