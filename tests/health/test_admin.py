"""The admin of migrations and switches."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from health.models import RuntimeSwitch, SchemaMigration
from health.registry import PROBES, Failed, probe
from health.runs.result import ProbeResult
from health.snapshot import snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def test_the_box_of_a_switch_in_the_list_has_a_label(admin: Client) -> None:
    RuntimeSwitch.objects.create(name="cache")
    text = admin.get("/admin/health/runtimeswitch/", secure=True).content.decode()
    assert 'aria-label="cache enabled"' in text


def test_a_switch_is_switched_in_the_list_dated_and_logged(admin: Client) -> None:
    long_ago = timezone.now().replace(year=2001)
    RuntimeSwitch.objects.create(name="cache", enabled=False, updated_at=long_ago)
    form = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-name": "cache",
        "form-0-enabled": "on",
        "_save": "Save",
    }
    assert admin.post("/admin/health/runtimeswitch/", form, secure=True).status_code == 302
    switch = RuntimeSwitch.objects.get(name="cache")
    assert switch.enabled
    assert switch.updated_at > timezone.now() - timedelta(minutes=5)
    assert LogEntry.objects.get().get_change_message() == "Changed Enabled."


def test_a_missing_switch_can_be_added_from_the_vocabulary_only(admin: Client) -> None:
    for name, added in (("turbo", False), ("watcher", True)):
        admin.post("/admin/health/runtimeswitch/add/", {"name": name, "enabled": "on"}, secure=True)
        assert RuntimeSwitch.objects.filter(name=name).exists() == added


def test_a_switch_keeps_its_name_and_is_not_deleted(admin: Client) -> None:
    RuntimeSwitch.objects.create(name="cache")
    admin.post("/admin/health/runtimeswitch/cache/change/", {"name": "watcher", "enabled": "on"}, secure=True)
    assert list(RuntimeSwitch.objects.values_list("name", "enabled")) == [("cache", True)]
    assert admin.post("/admin/health/runtimeswitch/cache/delete/", {"post": "yes"}, secure=True).status_code == 403


def test_migrations_can_be_listed_and_searched(admin: Client) -> None:
    SchemaMigration.objects.create(filename="migrate_add_users_table.sql")
    page = admin.get("/admin/health/schemamigration/?q=users", secure=True)
    assert b"migrate_add_users_table.sql" in page.content
    assert (
        b"migrate_add_users_table.sql" not in admin.get("/admin/health/schemamigration/?q=nothing", secure=True).content
    )


@pytest.mark.parametrize("action", ["add/", "one.sql/change/", "one.sql/delete/"])
def test_migrations_cannot_be_changed(admin: Client, action: str) -> None:
    SchemaMigration.objects.create(filename="one.sql")
    assert admin.post(f"/admin/health/schemamigration/{action}", {"post": "yes"}, secure=True).status_code == 403
    assert SchemaMigration.objects.count() == 1


@pytest.fixture
def foreign() -> Iterator[None]:
    """Register probes as the health_probes.py of a different app does."""

    @probe("archive", ttl=1.0)
    def archive() -> None:
        """The archive answers."""
        raise Failed("<it is> full")

    yield
    del PROBES["archive"]


@pytest.mark.django_db(transaction=True)
def test_every_probe_is_on_the_page_of_health_at_once(admin: Client, foreign: None) -> None:
    page = admin.get("/admin/health/", secure=True).content.decode()
    for name in PROBES:
        assert f'<tr id="probe-{name}">' in page
    assert page.count('class="decides"') == 1 + sum(probe.essential for probe in PROBES.values())
    assert "&lt;it is&gt; full" in page


@pytest.mark.django_db(transaction=True)
def test_the_page_of_health_shows_the_reason_of_a_disabled_probe(admin: Client, settings: Settings) -> None:
    settings.SFTPGO_URL = ""
    snapshot.close()
    page = admin.get("/admin/health/", secure=True).content.decode()
    assert "disabled: SFTPGO_URL is not set" in page
    assert PROBES["sftpgo"].title not in page


@pytest.mark.django_db(transaction=True)
def test_the_verdict_names_the_service_that_decides_and_since_when(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = datetime(2026, 5, 18, 17, 30, tzinfo=UTC)
    redis = ProbeResult(status="error", reason="connection refused", since=since)
    pipeline = ProbeResult(status="degraded", reason="a script differs")
    monkeypatch.setattr(snapshot, "refresh", lambda **_: {"redis": redis, "pipeline": pipeline})
    page = admin.get("/admin/health/", secure=True).content.decode()
    verdict = page.partition('<p class="verdict">')[2].partition("</p>")[0]
    assert "degraded</span>" in verdict
    assert '<a href="#probe-redis">redis</a> (connection refused, since 2026-05-18 17:30 UTC, ' in verdict
    assert "pipeline" not in verdict


@pytest.mark.django_db(transaction=True)
def test_staff_with_permissions_of_consistency_alone_see_the_page_of_health(client: Client) -> None:
    person = User.objects.create_user("bob", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_scan"))
    client.force_login(person)
    answer = client.get("/admin/health/", secure=True)
    assert answer.status_code == 200
    assert 'id="probe-redis"' in answer.content.decode()
    assert "permission" not in answer.content.decode()
    assert "Health at a glance" in client.get("/admin/", secure=True).content.decode()


def test_the_page_of_health_is_for_staff_only(client: Client) -> None:
    client.force_login(User.objects.create_user("bob"))
    assert client.get("/admin/health/", secure=True).status_code == 302
