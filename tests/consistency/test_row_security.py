"""Row-level security hides rows without a message. No surface may report the remaining rows as complete."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from consistency.history.scanning import read_scan
from consistency.models.history import Anomaly
from consistency.notices.notice import notice_of
from consistency.registry import CHECKS
from consistency.scan.selection import default_checks
from health.registry import PROBES
from health.runs.executor import ProbeExecutor
from health.runs.result import ERROR
from tests.consistency.conftest import moved_to
from tests.consistency.data import a_file
from tests.consistency.history.data import recorded
from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.servers import Shared

CONTRACT = [check.name for check in default_checks()]
REASON = "row-level security applies to {}; grant BYPASSRLS to this role"
ROWS = """
INSERT INTO files (file_uuid, file_name, status) VALUES ('a', 'a.mp4', 'processing');
INSERT INTO identities (uuid, name) VALUES ('a', 'Ann');
CREATE TABLE runtime_switches (name text PRIMARY KEY, enabled boolean, updated_at timestamptz);
"""
# The second policy shows every row. PostgreSQL refuses nevertheless, and cannot know better.
HIDE = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON {0} USING ({1})"


@pytest.fixture
def media(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(OWN_STYLE + ROWS)
        yield made


@pytest.fixture
def reader(media: Platform, transactional_db: None) -> Iterator[str]:
    """Connect as a role that may read every table of the platform; return the name."""
    role, url = media.reader()
    media.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    with moved_to(url):
        yield role


@pytest.mark.parametrize("condition", ["file_uuid = current_user", "true"])
def test_checks_of_a_table_with_a_policy_could_not_run(media: Platform, reader: str, condition: str) -> None:
    assert read_scan(default_checks()).outcomes[0].count == 1
    media.sql(HIDE.format("files", condition))
    report = read_scan(default_checks())
    assert {outcome.error for outcome in report.outcomes} == {REASON.format("files")}
    assert report.status == "degraded"


@pytest.mark.parametrize("name", ["identity_file_missing", "identity_row_missing"])
def test_an_external_check_of_a_table_with_a_policy_could_not_run(
    media: Platform, reader: str, name: str, tmp_path: Path, settings: Any
) -> None:
    settings.IDENTITIES_DIR = tmp_path
    (tmp_path / "_index.json").touch()
    assert read_scan([CHECKS[name]]).outcomes[0].error is None
    media.sql(HIDE.format("identities", "false"))
    assert read_scan([CHECKS[name]]).outcomes[0].error == REASON.format("identities")


def test_a_policy_below_a_view_is_named_with_its_table(media: Platform, reader: str) -> None:
    media.sql('ALTER TABLE files RENAME TO "Media Files"; CREATE VIEW files AS SELECT * FROM "Media Files"')
    media.sql(f"GRANT SELECT ON files TO {reader}; ALTER VIEW files SET (security_invoker)")
    media.sql(HIDE.format('"Media Files"', "true"))
    assert {outcome.error for outcome in read_scan(default_checks()).outcomes} == {REASON.format("Media Files")}


def test_a_policy_without_effect_on_the_role_changes_nothing(media: Platform, transactional_db: None) -> None:
    # Neither the owner of a table nor a role with BYPASSRLS is subject to the policy.
    media.sql(HIDE.format("files", "false"))
    with moved_to(media.url):
        assert read_scan(default_checks()).outcomes[0].count == 1


@pytest.mark.parametrize(
    ("probe", "table"), [("identities", "identities"), ("schema", "schema_migrations"), ("config", "runtime_switches")]
)
def test_a_probe_that_reads_rows_is_an_error(media: Platform, reader: str, probe: str, table: str) -> None:
    media.sql("CREATE TABLE IF NOT EXISTS django_migrations (id int, app text, name text, applied timestamptz)")
    media.sql(f"GRANT SELECT ON django_migrations TO {reader}")
    assert ProbeExecutor(PROBES[probe]).run().status != ERROR
    media.sql(HIDE.format(table, "false"))
    result = ProbeExecutor(PROBES[probe]).run()
    assert (result.status, result.reason) == (ERROR, REASON.format(table))


def test_the_lists_and_pages_of_the_admin_say_that_rows_may_be_missing(database_url: str, admin_client: Client) -> None:
    a_file("a", "processing")
    own = Platform(database_url)
    pages = ("/admin/consistency/file/", "/admin/consistency/file/a/change/")
    warning = "Row-level security applies to files, so that rows may be missing here."
    with limited_role(own) as url, moved_to(url):
        assert not any(warning in admin_client.get(page, secure=True, follow=True).content.decode() for page in pages)
        own.sql(HIDE.format("files", "false"))
        assert all(warning in admin_client.get(page, secure=True, follow=True).content.decode() for page in pages)


@contextmanager
def limited_role(own: Platform) -> Iterator[str]:
    """Yield the URL of a role that may read and write every table, and remove the policy of files at the end."""
    role, url = own.reader()
    for kind in ("TABLES", "SEQUENCES"):
        own.sql(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {role}")
    try:
        yield url
    finally:
        own.sql("DROP POLICY IF EXISTS own ON files; ALTER TABLE files DISABLE ROW LEVEL SECURITY")
        own.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_policy_resolves_no_anomaly_and_sends_no_recovery(database_url: str) -> None:
    a_file("a", "processing")
    recorded(*CONTRACT)
    own = Platform(database_url)
    with limited_role(own) as url, moved_to(url):
        own.sql(HIDE.format("files", "false"))
        result = recorded(*CONTRACT)
        assert {outcome.error for outcome in result.report.outcomes} == {REASON.format("files")}
        assert Anomaly.objects.filter(resolved_at__isnull=True).count() == 2
        notice = notice_of(result)
        assert notice
        assert {check.kind for check in notice.checks} == {"worse"}
