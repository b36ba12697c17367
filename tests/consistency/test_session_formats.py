"""A role may have any format of dates and intervals; every surface answers the same."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from django.db.models import TextField, Value
from django.db.models.functions import Cast
from django.test import Client

from consistency.models import File
from consistency.scan.engine import Engine
from consistency.scan.passes import collect
from tests.consistency.api.data import Ask, report_reader
from tests.consistency.conftest import Define, moved_to
from tests.consistency.data import a_file, a_job
from tests.consistency.processes import check_consistency

OPTIONS = "-c datestyle=German -c intervalstyle=sql_standard -c bytea_output=escape -c timezone=Asia/Tokyo"


def test_the_command_and_the_endpoints_read_and_write_with_german_dates(
    database_url: str, read: Ask, admin_client: Client
) -> None:
    a_job(17, "completed", of="a", finished_at=datetime(2026, 5, 18, 17, 30, tzinfo=UTC))
    a_file("a", "processing", job=17)
    url = f"{database_url}?options={quote(OPTIONS)}"
    ended = check_consistency("processing_job_done", "--format", "json", database_url=url)
    assert (ended.returncode, ended.stderr) == (1, "")
    detail = "job 17 completed at 2026-05-18T17:30:00Z"
    assert json.loads(ended.stdout)["checks"][0]["files"][0]["detail"] == detail
    with moved_to(url):
        assert json.loads(report_reader()().body)["checks"][2]["files"][0]["detail"] == detail
        [anomaly] = read("/anomalies").json()["anomalies"]
        assert anomaly["detail"] == detail
        assert abs(datetime.now(UTC) - datetime.fromisoformat(anomaly["first_seen"])).total_seconds() < 600
        for page in ("/admin/consistency/", "/admin/consistency/monitorjob/17/change/", "/health/detailed"):
            assert admin_client.get(page, secure=True).status_code == 200


def test_a_scan_sets_the_formats_also_on_a_connection_of_a_pool(transactional_db: None, define: Define) -> None:
    a_file("a", "processing")
    age = Cast(Value(timedelta(hours=36)), TextField())
    engine = Engine([define("age", lambda: File.objects.all(), detail=age)], limit=1)
    # PgBouncer may give the scan a connection without the settings of the session.
    engine.connection.connect()
    engine.connection.connection.execute("SET intervalstyle = iso_8601")
    assert collect(engine, engine).outcomes[0].rows[0]["detail"] == "1 day 12:00:00"
