"""Exports of anomalies: the rows of the list in chunks, and a last line that says whether they are complete."""

import csv
import io
import json
import re

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history.suppression import acknowledge, comment, mark_reviewed
from consistency.models import File
from consistency.models.history import Anomaly, Scan
from tests.consistency.admin.pages import LIST, get, post, stale
from tests.consistency.data import delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def exported(client: Client, query: str) -> list[dict[str, str]]:
    """Return the rows of a CSV that says that it is complete."""
    text, _, ending = get(client, f"{LIST}export/csv/{query}").rpartition("# ")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert ending == f"complete: true, rows: {len(rows)}\r\n"
    return rows


def cut_short(client: Client, name: str) -> str:
    """Return an export whose session in PostgreSQL ends after the first chunk."""
    chunks = iter(client.get(f"{LIST}export/{name}/", secure=True))
    first = next(chunks) + next(chunks)
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    try:
        return (first + b"".join(chunks)).decode()
    finally:
        connection.close()


def test_an_export_that_is_cut_short_says_so_at_its_end(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.CHUNK_SIZE", 2)
    stale("a", "b", "c", "d", "e")
    recorded(STALE)
    *rows, ending = cut_short(client, "csv").splitlines()
    problem = "history in database 'default': connection lost"
    assert (len(rows) - 1, ending) == (2, f"# complete: false, rows: 2, error: {problem}")
    document = json.loads(cut_short(client, "json"))
    assert len(document.pop("anomalies")) == 2
    assert document == {"rows": 2, "error": problem, "complete": False}


def test_the_export_is_what_the_list_shows_in_chunks_and_harmless_in_a_spreadsheet(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.CHUNK_SIZE", 2)
    File.objects.create(file_uuid="=1+1", file_name="=HYPERLINK(1)", status="processing")
    stale("a", "b", "c", "d")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="@known")
    rows = exported(client, "")
    assert {row["object_id"] for row in rows} == {"'=1+1", "b", "c", "d"}
    document = json.loads(get(client, f"{LIST}export/json/?state=open"))
    anomalies = document["anomalies"]
    assert (list(document)[-1], document["complete"], document["rows"]) == ("complete", True, 5)
    assert [row["object_id"] for row in anomalies] == list(Anomaly.objects.values_list("object_id", flat=True))
    assert len(anomalies) == 5
    (known,) = exported(client, "?state=acknowledged")
    assert (known["acknowledged_by"], known["acknowledged_reason"]) == ("ann", "'@known")
    assert json.loads(get(client, f"{LIST}export/json/?q=zzz")) == {"anomalies": [], "rows": 0, "complete": True}
    get(client, f"{LIST}export/xls/", status=404)


def test_resolved_anomalies_are_exported_in_the_order_of_their_list(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.CHUNK_SIZE", 2)
    names = ["a", "b", "c", "d", "e"]
    stale(*names)
    recorded(STALE)
    for name in ("c", "a", "e", "b", "d"):
        delete_files(file_uuid=name)
        recorded(STALE)
    assert [row["object_id"] for row in exported(client, "?state=resolved")] == ["d", "b", "e", "a", "c"]
    last = Scan.objects.latest("pk").pk
    assert {row["resolved_scan"] for row in exported(client, f"?state=all&scan={last}-resolved")} == {str(last)}
    assert [row["object_id"] for row in exported(client, "?state=resolved&resolved_since=24h")][:2] == ["d", "b"]


def test_the_anomalies_of_a_scan_are_exported_in_the_order_of_their_list(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.CHUNK_SIZE", 2)
    stale("a", "b", "c", "d", "e")
    first = recorded(STALE).scan
    assert first
    delete_files(file_uuid="c")
    recorded(STALE)
    stale("c")
    recorded(STALE)
    rows = exported(client, f"?state=all&scan={first.id}-new")
    assert [row["object_id"] for row in rows] == ["e", "d", "c", "b", "a"]


def test_an_export_says_which_anomalies_need_review(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    mark_reviewed([anomaly("a").pk], by="ann")
    acknowledge([anomaly("b").pk], until=in_days(1), by="ann", reason="known")
    rows = {row["object_id"]: row for row in exported(client, "?state=open")}
    assert {name: row["needs_review"] for name, row in rows.items()} == {"a": "false", "b": "false", "c": "true"}
    assert [bool(rows[name]["reviewed_at"]) for name in "abc"] == [True, True, False]
    document = json.loads(get(client, f"{LIST}export/json/"))
    assert {row["object_id"]: row["needs_review"] for row in document["anomalies"]} == {"a": False, "c": True}


def test_selected_rows_are_exported(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    sent = {"action": "as_json", "select_across": "0", "index": "0", "_selected_action": [anomaly("b").pk]}
    document = json.loads(b"".join(post(client, LIST, status=200, **sent)))
    assert [row["object_id"] for row in document["anomalies"]] == ["b"]


def test_a_cell_that_may_begin_a_formula_is_text_in_the_export(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="a", file_name="\t=1+1", status="processing")
    recorded(STALE)
    Anomaly.objects.update(assignee="\uff1d3")
    comment([anomaly("a").pk], text="a;=2", by="=ann")
    comment([anomaly("a").pk], text="asked", by="ann")
    (row,) = exported(client, "")
    assert (row["file_name"], row["assignee"]) == ("\t'=1+1", "'\uff1d3")
    assert re.fullmatch(r"\S+Z =ann: a;'=2\n\S+Z ann: asked", row["comments"])
    (raw,) = json.loads(get(client, f"{LIST}export/json/"))["anomalies"]
    assert (raw["file_name"], raw["assignee"]) == ("\t=1+1", "\uff1d3")
    assert [(made["by"], made["text"]) for made in raw["comments"]] == [("=ann", "a;=2"), ("ann", "asked")]
