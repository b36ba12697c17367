"""The probes of the platform itself: services, resources, pipeline, schema, toggles, integrations."""

from typing import TYPE_CHECKING

from health import pipeline as pipelines
from health import resources as machine
from health import schema as migrations
from health import services, switches
from health import sftpgo as uploads
from health import tmdb as films
from health.digests import Digests
from health.registry import probe

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


@probe("postgres", ttl=2.0, essential=True)
def postgres() -> None:
    """PostgreSQL answers a query."""
    services.ask_postgres()


@probe("redis", ttl=2.0, essential=True, client=services.RedisConnection)
def redis(connection: services.RedisConnection) -> None:
    """Redis answers a PING and accepts a write."""
    services.ask_redis(connection)


@probe("qdrant", ttl=2.0, essential=True, client=services.qdrant_client)
def qdrant(client: "QdrantClient") -> None:
    """Qdrant accepts our key, and each collection we name is green."""
    services.ask_qdrant(client)


@probe("resources", ttl=1.0, section="resources", client=machine.Sampler, kept_young=True)
def resources(sampler: machine.Sampler) -> machine.Resources:
    """CPU and memory in use."""
    return machine.measure(sampler)


@probe("pipeline", ttl=2.0, section="pipeline", client=Digests)
def pipeline(digests: Digests) -> pipelines.Pipeline:
    """Scripts, processors, models and ffmpeg are in place, and scripts are what their checksums say."""
    return pipelines.inspect(digests)


@probe("schema", ttl=1.0, section="schema", requires=("postgres",), client=migrations.OwnMigrations)
def schema(own: migrations.OwnMigrations) -> migrations.Schema:
    """Every migration on disk is applied."""
    return migrations.inspect(own)


@probe("config", ttl=1.0, section="config", requires=("postgres",))
def config() -> switches.Switches:
    """The runtime toggles can be read."""
    return switches.read()


@probe("tmdb", ttl=900.0, section="integrations.tmdb", client=films.TmdbClient)
def tmdb(client: films.TmdbClient) -> films.Tmdb:
    """TMDB can be reached."""
    return films.inspect(client)


@probe("sftpgo", ttl=5.0, section=None, client=uploads.client)
def sftpgo(client: uploads.SftpgoClient | None) -> uploads.Sftpgo:
    """SFTPGo is up, and so is what it stores its users in."""
    return uploads.inspect(client)
