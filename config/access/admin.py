"""The admin of API keys, with the state of a key in words."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from rest_framework_api_key.admin import APIKeyModelAdmin
from rest_framework_api_key.models import APIKey

from config.access import keys

admin.site.unregister(APIKey)


@admin.register(APIKey)
class APIKeyAdmin(APIKeyModelAdmin):
    """The library shows red crosses for a healthy key: not expired, not revoked."""

    def get_list_display(self, request: HttpRequest) -> Any:
        return ["prefix", "name", "state", "created", "expiry_date"]

    @admin.display(description="State")
    def state(self, key: APIKey) -> str:
        """Return `active`, `expired` or `revoked`."""
        return keys.state(key)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the box to revoke a key, or the state for a user who may not change the key."""
        may_revoke = obj is None or self.has_change_permission(request, obj)
        return ["prefix", "name", "expiry_date", "revoked" if may_revoke else "state"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), "state")
