"""Databases as media servers have made them: by hand-written SQL, in types and with columns of their own choice."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg

OWN_STYLE = """
CREATE TABLE files (
    file_uuid text NOT NULL PRIMARY KEY, file_name text, file_path text, status text, job_id bigint,
    size_bytes bigint, sha256 bytea, tags text[] DEFAULT '{}', probe jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz);
CREATE TABLE monitor_jobs (
    id bigserial PRIMARY KEY, file_uuid text, processor text, progress real, status text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz, started_at timestamptz, finished_at timestamptz);
CREATE TABLE schema_migrations (filename text PRIMARY KEY, applied_at timestamptz DEFAULT now());
CREATE TABLE identities (
    uuid text PRIMARY KEY, name text NOT NULL, source text, metadata jsonb, is_active boolean, embedding real[],
    created_at timestamptz DEFAULT now(), updated_at timestamptz);
"""


def typed(*, key: str, job_key: str) -> str:
    """Tables of enums, integers and timestamps without zone, with `file_uuid` of the given types."""
    return f"""
CREATE TYPE file_status AS ENUM ('unregistered', 'registered', 'processing', 'completed', 'ready', 'Processing');
CREATE TYPE job_status AS ENUM ('pending', 'running', 'completed', 'failed', 'cancelled');
CREATE TABLE files (
    file_uuid {key} PRIMARY KEY, file_name varchar(255), file_path varchar(1024), status file_status, job_id int4,
    created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now());
CREATE TABLE monitor_jobs (
    id serial PRIMARY KEY, file_uuid {job_key}, status job_status, created_at timestamp, updated_at timestamp,
    finished_at timestamp);
"""


def keyed(
    *, job_id: str = "bigint", key: str = "text", file_key: str = "", job_key: str = "", options: str = ""
) -> str:
    """Tables with job ids and file_uuid of these types, and these primary keys; without a key nulls may repeat."""
    return f"""
CREATE TABLE files (
    file_uuid {key}, file_name text, file_path text DEFAULT '', status text, job_id {job_id},
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now() {file_key}) {options};
CREATE TABLE monitor_jobs (
    id {job_id}, file_uuid {key}, status text, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), finished_at timestamptz {job_key}) {options};
"""


def partitioned(*, key: str = "text") -> str:
    """Tables in 16 hash partitions by file_uuid, with an index of jobs by id alone."""
    keys = {"file_key": ", PRIMARY KEY (file_uuid)", "job_key": ", PRIMARY KEY (file_uuid, id)"}
    return f"""{keyed(key=key, **keys, options="PARTITION BY HASH (file_uuid)")}
CREATE INDEX monitor_jobs_id ON monitor_jobs (id);
DO $$ BEGIN FOR n IN 0 .. 15 LOOP
    EXECUTE format('CREATE TABLE files_%1$s PARTITION OF files FOR VALUES WITH (MODULUS 16, REMAINDER %1$s);'
        'CREATE TABLE jobs_%1$s PARTITION OF monitor_jobs FOR VALUES WITH (MODULUS 16, REMAINDER %1$s)', n);
END LOOP; END $$;
"""


def single_keys(job_id: str) -> str:
    """Tables with job ids of this type."""
    return keyed(job_id=job_id, file_key=", PRIMARY KEY (file_uuid)", job_key=", PRIMARY KEY (id)")


VIEWS = """
CREATE TABLE "Media Files" (
    "File UUID" text PRIMARY KEY, "Name" text, "Path" text DEFAULT '', "State" text, "Job" bigint,
    "Created" timestamptz DEFAULT now(), "Updated" timestamptz DEFAULT now());
CREATE TABLE "Monitor Jobs" (
    "No." bigint PRIMARY KEY, "File UUID" text, "State" text, "Created" timestamptz DEFAULT now(),
    "Updated" timestamptz DEFAULT now(), "Finished" timestamptz);
CREATE INDEX ON "Monitor Jobs" ("File UUID") WHERE "State" IN ('pending', 'running');
CREATE VIEW files AS SELECT "File UUID" AS file_uuid, "Name" AS file_name, "Path" AS file_path, "State" AS status,
    "Job" AS job_id, "Created" AS created_at, "Updated" AS updated_at FROM "Media Files";
CREATE VIEW monitor_jobs AS SELECT "No." AS id, "File UUID" AS file_uuid, "State" AS status, "Created" AS created_at,
    "Updated" AS updated_at, "Finished" AS finished_at FROM "Monitor Jobs";
"""


@dataclass
class Platform:
    """One such database; `url` is its owner's, who is the media server."""

    url: str
    readers: list[str] = field(default_factory=list)

    def sql(self, statements: str, url: str = "") -> list[tuple[Any, ...]]:
        """What the owner, or who is named, asks or does."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statements)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def reader(self) -> tuple[str, str]:
        """A new role that may sign in and nothing else, and the URL of the database for it."""
        name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'; GRANT {name} TO CURRENT_USER")
        self.readers.append(name)
        parts = urlsplit(self.url)
        return name, parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()


@contextmanager
def platform(server_url: str) -> Iterator[Platform]:
    """A new database on the server, gone at the end with the roles that were made for it."""
    name = f"platform_{secrets.token_hex(4)}"
    home = Platform(server_url)
    home.sql(f"CREATE DATABASE {name}")
    made = Platform(urlsplit(server_url)._replace(path=f"/{name}").geturl())
    try:
        # What a platform's administrator has done long ago.
        made.sql("GRANT USAGE ON SCHEMA public TO PUBLIC")
        yield made
    finally:
        try:
            home.sql(f"DROP DATABASE {name} WITH (FORCE)")
        except psycopg.errors.InsufficientPrivilege:
            # FORCE may not end an autovacuum worker. A plain DROP does.
            home.sql(f"DROP DATABASE {name}")
        for role in made.readers:
            home.sql(f"DROP ROLE {role}")


def run_each(media: Platform, script: str) -> None:
    """Run the statements of a script one at a time as the owner, as `psql -f` does."""
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    with psycopg.connect(media.url, autocommit=True) as connection:
        for statement in filter(None, map(str.strip, "\n".join(lines).split(";"))):
            connection.execute(statement.encode())


# One partition of `partitioned` is divided again, and one is in another schema under a quoted name.
PARTITIONED = f"""{partitioned()}
DROP INDEX monitor_jobs_id;
DROP TABLE jobs_0;
CREATE TABLE jobs_0 PARTITION OF monitor_jobs FOR VALUES WITH (MODULUS 16, REMAINDER 0) PARTITION BY HASH (id);
CREATE TABLE jobs_0_even PARTITION OF jobs_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE jobs_0_odd PARTITION OF jobs_0 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE SCHEMA "Parts";
ALTER TABLE files_0 RENAME TO "Files of the first hash, with a name of sixty-three characters...";
ALTER TABLE "Files of the first hash, with a name of sixty-three characters..." SET SCHEMA "Parts";
"""
