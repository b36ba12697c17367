"""The fault matrix as data: dependency, fault, and the truth about both."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.faults import makers, proxy
from tests.faults.makers import Maker, proxied

NO_ANSWER: Final = r"no (recent )?answer"
LOST: Final = r"connection (lost|reset|closed)"
REFUSED: Final = r"connection refused"
PASSWORD: Final = r"password or key refused"
NEEDS_POSTGRES: Final = frozenset({"consistency", "identity checks", "sign-in", "admin sign-in"})
NEEDS_POSTGRES_TOO: Final = ("schema", "identities", "config", "consistency")
"""Sections that are skipped while PostgreSQL is down."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, and the answers that are true while the fault lasts."""

    dependency: str
    fault: str
    make: Maker
    probe: str
    """Section of /health/detailed, or `sftpgo`."""
    status: str | None = "error"
    """Status of the probe. None: the probe is well, or may be well."""
    words: str = ""
    """A pattern in the reason of the probe."""
    health: str = "ok"
    """Status of /health, or `any`."""
    may_503: Collection[str] = ()
    """Requests that may get 503 with Retry-After."""
    values: Mapping[str, object] = field(default_factory=dict)
    """Values in the section of the probe."""
    scan: str = "complete"
    """Expected scan: `complete`, `incomplete` (503, or 200 with a check that could not run), or `any`."""
    affected: Collection[str] = ()
    """Further sections that may be unwell."""
    exits: Mapping[str, Collection[int]] = field(default_factory=dict)
    """Exit codes of the commands. Without an entry, the codes of a healthy platform."""
    recovery: float = 2.0
    """Seconds until the probe is well after the fault."""
    disk: str = ""
    """A server that needs a small disk, which only root can mount."""
    short: bool = False
    """Whether the ordinary tests run the row."""

    @property
    def truth(self) -> str:
        """Return the expected answers, in words."""
        reason = f" ({self.words})" if self.words else ""
        state = f"{self.status}{reason}" if self.status else ", ".join(f"{k}={v}" for k, v in self.values.items())
        return f"{self.probe.removeprefix('services.')} {state or 'ok'}; /health {self.health}; scan {self.scan}"

    @property
    def name(self) -> str:
        return f"{self.dependency}: {self.fault}"


def _postgres(fault: str, make: Maker, words: str, *, short: bool = False) -> Row:
    """Return a row in which PostgreSQL is down for every client."""
    return Row(
        dependency="postgres",
        fault=fault,
        make=make,
        probe="services.postgres",
        words=words,
        health="degraded",
        may_503=NEEDS_POSTGRES,
        scan="incomplete",
        affected=NEEDS_POSTGRES_TOO,
        exits={"check_health": (1, 3), "check_consistency": (3,)},
        short=short,
    )


def _essential(
    dependency: str, fault: str, make: Maker, words: str, *, status: str = "error", short: bool = False, disk: str = ""
) -> Row:
    """Return a row of Redis or Qdrant, which no request needs."""
    return Row(
        dependency=dependency,
        fault=fault,
        make=make,
        probe=f"services.{dependency}",
        status=status,
        words=words,
        health="degraded",
        exits={"check_health": (1, 3)},
        short=short,
        disk=disk,
    )


def _informing(dependency: str, fault: str, make: Maker, words: str) -> Row:
    """Return a row of SFTPGo or TMDB."""
    probe = {"sftpgo": "sftpgo", "tmdb": "integrations.tmdb"}[dependency]
    # SFTPGo has a time to live of 5 seconds, and no ?fresh=1.
    recovery = 7.0 if dependency == "sftpgo" else 2.0
    return Row(dependency=dependency, fault=fault, make=make, probe=probe, words=words, recovery=recovery)


def _disk(fault: str, make: Maker, probe: str, *, short: bool = False, **values: object) -> Row:
    """Return a row of an unusable file or folder. A section says so in its values."""
    return Row(dependency="disk", fault=fault, make=make, probe=probe, status=None, values=values, short=short)


def _hung(folder: str, probe: str, *, short: bool = False) -> Row:
    """Return a row of a folder that gives no answer."""
    make = partial(makers.switched, line=f"{{media}}/{folder}")
    return Row(dependency="disk", fault=f"{folder} hang", make=make, probe=probe, words=NO_ANSWER, short=short)


NETWORK: Final = {
    "refused": (proxy.REFUSED, REFUSED),
    "black hole": (proxy.BLACK_HOLE, NO_ANSWER),
    "accepts no connection": (proxy.DEAF, NO_ANSWER),
    "answers after 3 s": (proxy.ANSWERS_LATE, NO_ANSWER),
    "half an answer, then silence": (proxy.HALF_THEN_SILENCE, NO_ANSWER),
    "half an answer, then the end": (proxy.HALF_THEN_CLOSE, f"{LOST}|unexpected answer|incomplete|not "),
    "one byte each 0.3 s": (proxy.DRIPS, NO_ANSWER),
    "garbage": (proxy.ANSWERS_GARBAGE, "unexpected answer|garbage|not "),
    "reset in the answer": (proxy.RESETS, LOST),
}
SHORT: Final = {("postgres", "refused"), ("postgres", "black hole"), ("redis", "one byte each 0.3 s"),
                ("qdrant", "garbage")}  # fmt: skip


def _network() -> list[Row]:
    rows = []
    for fault, (failure, words) in NETWORK.items():
        rows.append(_postgres(fault, proxied("postgres", failure), words, short=("postgres", fault) in SHORT))
        for dependency in ("redis", "qdrant"):
            make, short = proxied(dependency, failure), (dependency, fault) in SHORT
            rows.append(_essential(dependency, fault, make, words, short=short))
        rows += [_informing(name, fault, proxied(name, failure), words) for name in ("sftpgo", "tmdb")]
    return rows


def _answer(code: str, message: str) -> Maker:
    return proxied("postgres", proxy.postgres_error(code, message))


def _redis_answer(line: str) -> Maker:
    return proxied("redis", proxy.redis_error(line))


POSTGRES: Final = [
    _postgres("stopped by SIGSTOP", partial(makers.paused, name="postgres"), NO_ANSWER, short=True),
    _postgres("stopped in mid-query", makers.paused_in_query, NO_ANSWER),
    _postgres("wrong password", makers.wrong_password, PASSWORD),
    _postgres("slots exhausted", makers.no_slots, "too many connections", short=True),
    _postgres("starting up", _answer("57P03", "the database system is starting up"), "starting up"),
    _postgres("shutting down", _answer("57P03", "the database system is shutting down"), "shutting down"),
    _postgres("in recovery", _answer("57P03", "the database system is in recovery mode"), "recover|starting up"),
    _postgres("out of memory", _answer("53200", "out of memory"), "out of memory"),
    _postgres("disk full at sign-in", _answer("53100", "could not write: No space left on device"), "disk full"),
    _postgres("missing database", _answer("3D000", 'database "continuity" does not exist'), "database not found"),
    _postgres("TLS required", _answer("28000", 'no pg_hba.conf entry for host "x", no encryption'), "TLS"),
    _postgres("PgBouncer: server down", _answer("08P01", "server_login_retry"), "PgBouncer|pooler|lost|refused|answer"),
    Row(
        dependency="postgres", fault="API keys locked", probe="services.postgres", status=None, short=True,
        make=partial(makers.locked, tables=("rest_framework_api_key_apikey",)),
        may_503={"detailed, key", "consistency", "identity checks"}, scan="incomplete",
    ),
    Row(
        dependency="postgres", fault="files locked", probe="services.postgres", status=None,
        make=partial(makers.locked, tables=("files",)), scan="incomplete", exits={"check_consistency": (3,)},
    ),
    Row(
        dependency="postgres", fault="jobs locked", probe="services.postgres", status=None,
        make=partial(makers.locked, tables=("monitor_jobs",)), scan="incomplete", exits={"check_consistency": (3,)},
    ),
    Row(
        dependency="postgres", fault="read-only", make=makers.read_only, probe="services.postgres", status=None,
        may_503={"admin sign-in"}, affected=("consistency",),
    ),
    Row(
        dependency="postgres", fault="disk full", make=partial(makers.full_disk, name="postgres"), disk="postgres",
        probe="services.postgres", status=None, may_503={"admin sign-in"}, affected=("consistency",),
    ),
]  # fmt: skip

VALKEY: Final = [
    _essential("redis", "stopped by SIGSTOP", partial(makers.paused, name="redis"), NO_ANSWER),
    _essential(
        "redis", "wrong password",
        partial(makers.valkey, begin="ACL SETUSER default resetpass >other",
                end="ACL SETUSER default resetpass >{password}", disconnect=True), PASSWORD,
    ),
    _essential(
        "redis", "no permission to write",
        partial(makers.valkey, begin="ACL SETUSER default -set", end="ACL SETUSER default +@all"),
        "not permitted to write", status="degraded",
    ),
    _essential(
        "redis", "slots exhausted",
        partial(makers.valkey, begin="CONFIG SET maxclients 1", end="CONFIG SET maxclients 1000", disconnect=True),
        "too many connections",
    ),
    _essential(
        "redis", "out of memory",
        partial(makers.valkey, begin="CONFIG SET maxmemory 1", end="CONFIG SET maxmemory 0"), "out of memory",
        status="degraded", short=True,
    ),
    _essential(
        "redis", "read-only", partial(makers.valkey, begin="REPLICAOF 127.0.0.1 9", end="REPLICAOF NO ONE"),
        "read-only", status="degraded",
    ),
    _essential("redis", "loading", _redis_answer("LOADING Valkey is loading the dataset in memory"), "loading",
               status="degraded", short=True),
    _essential("redis", "primary down", _redis_answer("MASTERDOWN Link with MASTER is down"), "primary is down",
               status="degraded"),
    _essential("redis", "no password sent", _redis_answer("NOAUTH Authentication required."), PASSWORD),
    _essential("redis", "disk full", partial(makers.full_disk, name="redis"), "cannot save", status="degraded",
               disk="redis"),
]  # fmt: skip

HTTP: Final = {
    (401, "Unauthorized"): PASSWORD,
    (403, "Forbidden"): PASSWORD,
    (429, "Too Many Requests"): "too many requests",
    (503, "Service Unavailable"): "HTTP 503",
}


def _http() -> list[Row]:
    rows = []
    for (status, reason), words in HTTP.items():
        failure = proxy.http_error(status, reason)
        rows.append(_essential("qdrant", f"HTTP {status}", proxied("qdrant", failure), words))
        rows.append(_informing("sftpgo", f"HTTP {status}", proxied("sftpgo", failure), words))
    rows.append(_informing("tmdb", "HTTP 503", proxied("tmdb", proxy.http_error(503, "down")), "HTTP 503"))
    rows.append(_informing("tmdb", "captive portal", proxied("tmdb", proxy.http_error(200, "OK", "<html>")), "TMDB"))
    return rows


RESTARTS: Final = [
    _postgres("stopped, then started", partial(makers.stopped, name="postgres"), REFUSED),
    _essential("redis", "stopped, then started", partial(makers.stopped, name="redis"), REFUSED),
    _essential("qdrant", "stopped, then started", partial(makers.stopped, name="qdrant"), REFUSED),
    _essential("qdrant", "stopped by SIGSTOP", partial(makers.paused, name="qdrant"), NO_ANSWER),
]
DISK: Final = [
    _disk("a FIFO as index", makers.fifo("identities/_index.json"), "identities", index_ok=False, short=True),
    _disk("a FIFO as identity", makers.fifo("identities/one/identity.json"), "identities", synced=False),
    _disk("a FIFO as manifest", makers.fifo("scripts/checksums.sha256"), "pipeline"),
    _disk("an endless index", makers.endless("identities/_index.json"), "identities", index_ok=False),
    _disk("an endless identity", makers.endless("identities/one/identity.json"), "identities", synced=False),
    _disk("an endless manifest", makers.endless("scripts/checksums.sha256"), "pipeline"),
    _disk("scripts removed", makers.removed("scripts"), "pipeline", scripts_ready=False),
    _disk("identities removed", makers.removed("identities"), "identities", directory_exists=False),
    _hung("identities", "identities", short=True),
    _hung("scripts", "pipeline"),
    _hung("models", "pipeline"),
    _hung("migrations", "schema"),
]
ALL_NAMES: Final = ("services.redis", "services.qdrant", "integrations.tmdb", "sftpgo", *NEEDS_POSTGRES_TOO)


def _names(fault: str, line: str, *, status: str | None, words: str, health: str) -> Row:
    """Return a row of the name server. Connections that are open already go on."""
    return Row(
        dependency="DNS", fault=fault, make=partial(makers.switched, line=line), probe="services.redis",
        status=status, words=words, health=health, may_503=NEEDS_POSTGRES, scan="any",
        affected=("services.postgres", *ALL_NAMES), exits={"check_health": (1, 3), "check_consistency": (3,)},
    )  # fmt: skip


NAMES: Final = [
    _names("the resolver hangs", "names", status=None, words=NO_ANSWER, health="any"),
    _names("names are unknown", "missing", status="error", words="host name not found", health="degraded"),
]
ROWS: Final = [*_network(), *POSTGRES, *VALKEY, *_http(), *RESTARTS, *DISK, *NAMES]
