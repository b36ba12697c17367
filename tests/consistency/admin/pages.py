"""The admin's pages, for tests: asked, posted to, and read."""

import re
from typing import Any

from django.test import Client

from consistency.models.history import Anomaly
from tests.consistency.data import a_file

LIST = "/admin/consistency/anomaly/"
OVERVIEW = "/admin/consistency/"
ORPHANED = "orphaned_processing"
HOSTILE = "<script>alert(1)</script> \"' \x1b[31m \u202e.mp4"
SEE = ("view_anomaly", "view_scan", "view_mute")


def get(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, secure=True)
    assert answer.status_code == status
    return b"".join(answer).decode()


def post(client: Client, path: str, status: int = 302, **data: Any) -> Any:
    answer = client.post(path, data, secure=True)
    assert answer.status_code == status, answer.content.decode()
    return answer


def stale(*names: str) -> None:
    for name in names:
        a_file(name, "processing")


def page_of(of: Anomaly) -> str:
    return f"{LIST}{of.pk}/change/"


def shown(text: str) -> set[int]:
    """The anomalies that a list shows."""
    body = text.partition('id="result_list"')[2]
    return {int(part.partition("/")[0]) for part in body.split(f'href="{LIST}')[1:]}


def of_selected(action: str, keys: list[Any], **values: str) -> dict[str, Any]:
    return {"action": action, "select_across": "0", "index": "0", "_selected_action": keys} | values


def rows(text: str) -> list[int]:
    """Return the anomalies that a list offers for selection, in order."""
    return [int(key) for key in re.findall(r'name="_selected_action" value="(\d+)"', text)]
