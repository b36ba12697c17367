"""Identities in the admin: to look at."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from identities.models import Identity

pytestmark = pytest.mark.django_db


def test_they_are_listed_searched_and_shown_and_cannot_be_changed(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    Identity.objects.create(uuid="a1", name="<b>Ada</b>", metadata={"born": 1815})
    Identity.objects.create(uuid="b2", name="Grace", source="tmdb", is_active=False)

    def page(path: str) -> str:
        answer = client.get(f"/admin/identities/identity/{path}", secure=True)
        assert answer.status_code == 200
        return answer.content.decode()

    assert "&lt;b&gt;Ada&lt;/b&gt;" in page("")
    for query in ("?q=b", "?q=Gra", "?source__exact=tmdb", "?is_active__exact=0"):
        assert ("/b2/change/" in page(query), "/a1/change/" in page(query)) == (True, False), query
    assert "1815" in page("a1/change/")
    for path in ("add/", "a1/delete/"):
        assert client.get(f"/admin/identities/identity/{path}", secure=True).status_code == 403
    assert client.post("/admin/identities/identity/a1/change/", {"name": "x"}, secure=True).status_code == 403
