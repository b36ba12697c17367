"""A key that occurs twice or is null, or a timestamp that is infinite."""

import pytest
from django.db import connection

from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db

NO_KEYS = """
ALTER TABLE files DROP CONSTRAINT files_pkey;
ALTER TABLE files ALTER file_uuid DROP NOT NULL;
ALTER TABLE monitor_jobs DROP CONSTRAINT monitor_jobs_pkey;
ALTER TABLE monitor_jobs ALTER id DROP IDENTITY;
ALTER TABLE monitor_jobs ALTER id DROP NOT NULL;
"""
DUPLICATES = """
INSERT INTO files (file_uuid, file_name, status) VALUES ('a', 'b.mp4', 'registered'), ('a', 'a.mp4', 'completed'),
    ('b', 'b.mp4', 'registered'), ('', 'c.mp4', 'registered'), ('', 'd.mp4', 'registered'), ('', 'e.mp4', 'registered'),
    (NULL, 'f.mp4', 'registered'), (NULL, 'g.mp4', 'registered');
INSERT INTO monitor_jobs (id, file_uuid, status) VALUES (1, 'a', 'failed'), (1, 'b', 'failed'), (2, 'a', 'failed'),
    (NULL, 'a', 'failed');
"""


def sql(statements: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements)


def test_it_flags_each_key_that_occurs_more_than_once_or_is_null() -> None:
    sql(NO_KEYS + DUPLICATES)
    assert [(row["object_type"], row["object_id"], row["detail"]) for row in finding_rows("duplicate_keys")] == [
        ("file", "", "3 rows of files have this file_uuid"),
        ("file", "a", "2 rows of files have this file_uuid"),
        ("file", "null", "rows of files without file_uuid: 2"),
        ("job", "1", "2 rows of monitor_jobs have this id"),
        ("job", "null", "rows of monitor_jobs without id: 1"),
    ]


def test_it_flags_duplicates_that_an_index_does_not_rule_out() -> None:
    sql(NO_KEYS)
    sql("CREATE INDEX ON files (file_uuid); CREATE UNIQUE INDEX ON files (file_uuid, file_name)")
    sql("CREATE UNIQUE INDEX ON files (file_uuid) WHERE status = 'processing'")
    sql(DUPLICATES)
    assert details("duplicate_keys")["a"] == "2 rows of files have this file_uuid"


def test_it_flags_duplicates_in_a_table_that_inherits() -> None:
    sql("CREATE TABLE files_2025 () INHERITS (files); INSERT INTO files_2025 (file_uuid, file_name) VALUES ('a', 'a')")
    a_file("a", "registered")
    assert details("duplicate_keys") == {"a": "2 rows of files have this file_uuid"}


def test_it_flags_rows_with_infinite_times() -> None:
    a_file("a", "registered")
    a_file("b", "registered")
    a_job(1, "running")
    a_job(2, "running")
    sql("UPDATE files SET updated_at = '-infinity' WHERE file_uuid = 'a'")
    sql("UPDATE files SET created_at = 'infinity', updated_at = 'infinity' WHERE file_uuid = 'b'")
    sql("UPDATE monitor_jobs SET finished_at = 'infinity' WHERE id = 2")
    assert details("duplicate_keys") == {
        "a": "updated_at is -infinity",
        "b": "created_at is infinity",
        "2": "finished_at is infinity",
    }


def test_it_leaves_alone_keys_that_occur_once_and_times_that_are_finite_or_null() -> None:
    sql(NO_KEYS)
    a_file("a", "registered", job=1)
    a_file("A", "registered", job=1)
    a_job(1, "completed", of="a")
    a_job(2, "completed", of="a")
    assert finding_rows("duplicate_keys") == []
