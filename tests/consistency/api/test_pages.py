"""Pages of lists over REST: no row twice, none left out, and cursors that are refused."""

from base64 import b64encode
from urllib.parse import quote

import pytest

from consistency.models.history import Anomaly
from tests.consistency.api.data import API, Ask, scanned, told
from tests.consistency.data import delete_files

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def followed(read: Ask, path: str, link: str = "next") -> list[str]:
    found = []
    while path:
        answer = read(path).json()
        found += [row["object_id"] for row in answer["anomalies"]]
        assert answer[link] is None or answer[link].startswith(f"{API}/anomalies?")
        path = (answer[link] or "").removeprefix(API)
    return found


@pytest.mark.parametrize("state", ["open", "new", "all", "resolved"])
def test_pages_hold_each_row_once_though_all_rows_share_a_time(read: Ask, state: str) -> None:
    scanned(*(f"file {number:02}" for number in range(25)))
    if state == "resolved":
        delete_files()
        scanned()
    whole = told(read(f"/anomalies?state={state}"))
    assert len(set(whole)) == 25
    assert followed(read, f"/anomalies?state={state}&limit=4") == whole
    path, backwards = f"/anomalies?state={state}&limit=4", list[str]()
    while path:
        last, path = path, (read(path).json()["next"] or "").removeprefix(API)
    path = last
    while path:
        page = read(path).json()
        backwards = [row["object_id"] for row in page["anomalies"]] + backwards
        path = (page["previous"] or "").removeprefix(API)
    assert backwards == whole


def test_scans_are_paged_too(read: Ask) -> None:
    for _ in range(5):
        scanned()
    whole = [scan["id"] for scan in read("/scans").json()["scans"]]
    first = read("/scans?limit=2").json()
    second = read(first["next"].removeprefix(API)).json()
    assert [scan["id"] for page in (first, second) for scan in page["scans"]] == whole[:4]


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1&limit=2", "cursor=x", "cursor=a&cursor=b", "what=1"])
@pytest.mark.parametrize("path", ["/anomalies", "/scans"])
def test_a_bad_page_or_an_unknown_parameter_is_400(read: Ask, path: str, query: str, method: str) -> None:
    answer = read(f"{path}?{query}", method=method)
    assert answer.status_code == 400
    assert bool(answer.content) == (method == "get")


def test_the_way_back_is_the_way_that_was_come(read: Ask) -> None:
    scanned(*(f"file {number:02}" for number in range(10)))
    pages, path = [], "/anomalies?limit=4&check=stale_processing"
    while path:
        pages.append(read(path).json())
        path = (pages[-1]["next"] or "").removeprefix(API)
    assert [len(page["anomalies"]) for page in pages] == [4, 4, 2]
    assert pages[0]["previous"] is None
    back = read(pages[2]["previous"].removeprefix(API)).json()
    assert back["anomalies"] == pages[1]["anomalies"]
    first = read(back["previous"].removeprefix(API)).json()
    assert (first["anomalies"], first["previous"]) == (pages[0]["anomalies"], None)
    assert read(first["next"].removeprefix(API)).json()["anomalies"] == pages[1]["anomalies"]


def test_rows_that_come_and_go_meanwhile_shift_nothing(read: Ask) -> None:
    scanned(*(f"file {number}" for number in range(6)))
    page = read("/anomalies?limit=3").json()
    rest = set(followed(read, page["next"].removeprefix(API)))
    Anomaly.objects.filter(pk=page["anomalies"][0]["id"]).delete()
    scanned("newer")
    assert set(followed(read, page["next"].removeprefix(API))) == rest


def test_a_cursor_of_another_order_is_refused(read: Ask) -> None:
    scanned("one", "two")
    cursor = read("/anomalies?limit=1").json()["next"].partition("cursor=")[2]
    assert read(f"/anomalies?cursor={cursor}&state=resolved").status_code == 400


FORGED = [
    "", "x", "[]", "p=", "p=1", "p=-appeared_event", "p=-appeared_event+x", "p=-appeared_event+-1", "p=-id+%00",
    "p=-appeared_event+9999999999999999999", "p=-appeared_event+1&o=x", "p=note+1", "p=-appeared_event+%D9%A1",
]  # fmt: skip


@pytest.mark.parametrize("position", FORGED)
def test_a_forged_cursor_is_refused(read: Ask, position: str) -> None:
    scanned("one", "two")
    forged = quote(b64encode(position.encode()).decode())
    for path in ("/anomalies", "/anomalies?state=resolved", "/scans"):
        answer = read(f"{path}{'&' if '?' in path else '?'}cursor={forged}")
        assert (answer.status_code, list(answer.json())) == (400, ["detail"])


def test_links_name_no_host(read: Ask) -> None:
    scanned("one", "two")
    assert "testserver" not in read("/anomalies?limit=1").content.decode()
