"""An identity row has no uuid, which an attached table without primary key allows."""

import pytest
from django.db import connection

from identities.models import Identity
from tests.consistency.data import details, finding_rows

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("without_primary_key")
def test_it_flags_rows_without_uuid_and_tells_their_name() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO identities (uuid, name) VALUES (NULL, ''), (NULL, NULL)")
    assert sorted(row["detail"] or "" for row in finding_rows("identity_without_uuid")) == [
        f"uuid is null, name is {name}" for name in ("empty", "nobody", "null")
    ]
    assert {row["object_id"] for row in finding_rows("identity_without_uuid")} == {"null"}


@pytest.mark.usefixtures("without_primary_key")
def test_it_leaves_alone_rows_with_an_empty_uuid_or_the_word_null() -> None:
    Identity.objects.bulk_create([Identity(uuid="", name=""), Identity(uuid="null", name="")])
    assert list(details("identity_without_uuid").values()) == ["uuid is null, name is nobody"]
