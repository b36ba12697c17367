"""Identities, to look at: the rows are the media server's."""

from django.contrib import admin

from consistency.admin import ViewOnlyAdmin
from identities.models import Identity


@admin.register(Identity)
class IdentityAdmin(ViewOnlyAdmin):
    list_display = ("uuid", "name", "source", "is_active", "updated_at")
    list_filter = ("source", "is_active")
    search_fields = ("uuid__startswith", "name__startswith")
    search_help_text = "The first characters of a uuid or a name; case matters."
