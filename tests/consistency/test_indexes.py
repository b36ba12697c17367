"""The SQL of missing indexes: attached partitions, views, ordinary tables, and builds that were interrupted."""

import json

import psycopg
import pytest

from consistency.scan.selection import default_checks
from consistency.system_checks import scan_indexes_exist
from tests.consistency.conftest import moved_to
from tests.consistency.platforms import OWN_STYLE, PARTITIONED, VIEWS, Platform, run_each
from tests.consistency.processes import Ended, check_consistency, manage_each, within
from tests.consistency.test_attach import CONTENT, FOUND, WANTED, administrator, details
from tests.consistency.test_plans import LOAD, plan, seen, statements
from tests.documents import manage_commands

pytestmark = pytest.mark.usefixtures("transactional_db")

# No index of PARTITIONED begins with the id of a job.
OF_PARTITIONS = WANTED | {"monitor_jobs_id"}
VALID = """SELECT relname, count(*) FROM pg_index JOIN pg_class ON oid = indexrelid, pg_partition_tree(oid)
    WHERE relname = ANY('{%s}') AND indisvalid GROUP BY relname"""


def index_sql() -> str:
    code, out, err = within("index_sql")
    assert (code, err) == (0, "")
    return out


def warnings() -> list[str]:
    return [str(message.hint) for message in scan_indexes_exist(databases=["default"])]


def created(media: Platform) -> dict[str, int]:
    """Return the valid indexes of the two tables, with the number of indexes in the tree of each."""
    return dict(media.sql(VALID % ",".join(OF_PARTITIONS)))


def attach(media: Platform) -> tuple[str, Ended, Ended]:
    """Take the documented steps; return the URL of the new role, and the ends of `check` and `index_sql`."""
    role, url = media.reader()
    administrator(media, role)
    adopt, index, see = map(manage_commands, ("attach-migrate", "attach-indexes", "attach-scan"))
    ended = manage_each(*adopt, see[0], *index, database_url=url)
    assert [end.code for end in ended] == [0] * (len(adopt) + 2)
    return url, ended[-2], ended[-1]


def test_a_partitioned_platform_is_attached_with_an_index_on_every_partition(media: Platform) -> None:
    media.sql(PARTITIONED)
    media.sql(LOAD)
    url, check, printed = attach(media)
    assert check.err.count("Let the table's owner run the SQL of manage.py index_sql --database default") == 7

    run_each(media, printed.out)
    # The table and 16 partitions; two further partitions of the divided partition of monitor_jobs.
    assert created(media) == {name: 17 if name.startswith("files") else 19 for name in OF_PARTITIONS}
    # A repetition of the same script changes no index.
    run_each(media, printed.out)
    media.sql("VACUUM ANALYZE files, monitor_jobs")
    check, printed = manage_each(["check", "--database", "default"], ["index_sql"], database_url=url)
    assert (check.code, "consistency.W001" in check.err) == (0, False)
    assert printed.out == "-- public.files has every index.\n-- public.monitor_jobs has every index.\n"


def test_the_default_checks_use_the_indexes_of_the_partitions(media: Platform) -> None:
    media.sql(PARTITIONED)
    media.sql(LOAD)
    with moved_to(media.url):
        run_each(media, index_sql())
        media.sql("VACUUM ANALYZE files, monitor_jobs")
        queries = [(query, check.name) for check in default_checks() for query in check.queries()]
        nodes = [node for query in queries for statement in statements(*query) for node in plan(statement)]
    assert seen(nodes, "Seq Scan") == set()
    used = {node["Index Name"].rpartition("_")[0] for node in nodes if "Index Name" in node}
    assert {"files_processing", "files_unregistered", "monitor_jobs_active_id", "monitor_jobs_active_file"} <= used


def test_views_over_quoted_tables_need_no_index(media: Platform) -> None:
    media.sql(VIEWS)
    media.sql(CONTENT)
    url, check, printed = attach(media)
    assert "consistency.W001" not in check.err
    assert printed.out.splitlines() == [
        f"-- public.{name} is a view or a foreign table. Index the tables below instead."
        for name in ("files", "monitor_jobs")
    ]
    scanned = check_consistency(*FOUND, "--format", "json", database_url=url)
    assert (scanned.returncode, details(json.loads(scanned.stdout)["checks"])) == (1, FOUND)


def test_tables_without_partitions_and_missing_tables_give_plain_statements(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql("DROP TABLE monitor_jobs")
    with moved_to(media.url):
        *creates, missing = index_sql().splitlines()
        assert missing.startswith("-- The database has no table monitor_jobs.")
        assert len(creates) == 3
        assert all(line.startswith("CREATE INDEX CONCURRENTLY IF NOT EXISTS files_") for line in creates)
        assert " ON public.files (" in creates[0]
        run_each(media, "\n".join(creates))
        assert index_sql().splitlines()[0] == "-- public.files has every index."
    code, _, error = within("index_sql", "--database", "archive")
    assert (code, "unknown database 'archive'" in error) == (2, True)


@pytest.mark.parametrize("attached", [False, True])
def test_an_interrupted_build_on_a_partition_is_repeated(media: Platform, attached: bool) -> None:
    media.sql(PARTITIONED)
    with moved_to(media.url):
        script = index_sql()
        [build] = [line for line in script.splitlines() if " ON public.files_7 " in line and "_processing_" in line]
        with psycopg.connect(media.url) as writer:
            # CREATE INDEX CONCURRENTLY waits for the writer, gives up, and leaves an invalid index.
            writer.execute("LOCK TABLE files_7 IN ROW EXCLUSIVE MODE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                run_each(media, f"SET lock_timeout = '100ms';\n{build}")
        if attached:
            # Without ON_ERROR_STOP, psql attaches the invalid index.
            run_each(media, script)
        assert len(warnings()) == (1 if attached else len(OF_PARTITIONS))
        repeated = index_sql()
        assert "DROP INDEX IF EXISTS public.files_processing_" in repeated
        run_each(media, repeated)
        assert (warnings(), set(created(media))) == ([], OF_PARTITIONS)


def test_a_partition_that_came_between_gets_its_index_too(media: Platform) -> None:
    media.sql(
        "CREATE TABLE files (file_uuid text, file_name text, status text, job_id bigint, UNIQUE (file_uuid, status))"
        " PARTITION BY LIST (status)"
    )
    media.sql("CREATE TABLE files_done PARTITION OF files FOR VALUES IN ('completed')")
    with moved_to(media.url):
        # Only the indexes of the table; PostgreSQL adds an index to a new partition under a name of its own.
        run_each(media, "\n".join(line for line in index_sql().splitlines() if "ON ONLY public.files " in line))
        media.sql("CREATE TABLE files_other PARTITION OF files DEFAULT")
        assert len(warnings()) == 3
        run_each(media, index_sql())
        assert warnings() == []


@pytest.mark.parametrize("partitioned", [False, True])
def test_indexes_of_the_table_that_had_the_name_before_give_the_name_away(media: Platform, partitioned: bool) -> None:
    media.sql(OWN_STYLE)
    with moved_to(media.url):
        run_each(media, index_sql())
        media.sql("ALTER TABLE files RENAME TO files_old; ALTER INDEX files_pkey RENAME TO files_old_pkey")
        if partitioned:
            media.sql(
                "CREATE TABLE files (LIKE files_old INCLUDING DEFAULTS, PRIMARY KEY (file_uuid))"
                " PARTITION BY HASH (file_uuid)"
            )
            media.sql("ALTER TABLE files ATTACH PARTITION files_old FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        else:
            media.sql("CREATE TABLE files (LIKE files_old INCLUDING DEFAULTS, PRIMARY KEY (file_uuid))")
        assert len(warnings()) == 3
        run_each(media, index_sql())
        assert warnings() == []
        assert index_sql().splitlines()[0] == "-- public.files has every index."


def test_an_index_of_a_partition_in_another_schema_keeps_the_name(media: Platform) -> None:
    media.sql(PARTITIONED)
    [(partition,)] = media.sql(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'Parts'"
    )
    media.sql(f"CREATE INDEX files_processing ON {partition} (file_name)")
    with moved_to(media.url):
        run_each(media, index_sql())
        assert warnings() == []
    assert media.sql("SELECT schemaname FROM pg_indexes WHERE indexdef LIKE '%files_processing ON%(file_name)'") == [
        ("Parts",)
    ]
