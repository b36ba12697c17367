"""Identities in the admin, read-only."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
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


def test_metadata_of_type_json_and_a_key_of_type_uuid_are_shown_too(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    key = "6f1c2d9e-0000-4000-8000-00000000000a"
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE identities RENAME TO other_identities")
        cursor.execute(
            "CREATE TABLE identities (uuid uuid PRIMARY KEY, name text, source text, metadata json, is_active boolean,"
            " created_at timestamptz, updated_at timestamptz)"
        )
        cursor.execute("INSERT INTO identities VALUES (%s, '', 'auto', '{\"born\": 1815}', true, now(), now())", [key])
    for path in ("", f"{key}/change/"):
        answer = client.get(f"/admin/identities/identity/{path}", secure=True)
        assert (answer.status_code, key in answer.content.decode()) == (200, True)
    assert "1815" in answer.content.decode()
