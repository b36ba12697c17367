"""Admin classes for rows that nobody edits in place, in tables that may hold millions of rows."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DEFAULT_DB_ALIAS, DataError, connections, transaction
from django.db.models import Model, TextField
from django.forms import Form
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from common.errors import MEDIA_TABLES
from common.text import printable
from consistency.history.paginator import BoundedPaginator
from consistency.row_security import hides_rows

CONFLICT: Final = "conflict"


def _savepoint(database: str) -> AbstractContextManager[Any]:
    """Return a savepoint inside a transaction, which an error would end. Outside a transaction do nothing."""
    return transaction.atomic(using=database) if connections[database].in_atomic_block else nullcontext()


class TypedChangeList(ChangeList):
    """Show no rows if the type of a column (uuid, enum) cannot hold a value in the address."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            with _savepoint(self.queryset.db):
                super().get_results(request)
        except DataError:
            self.queryset = self.queryset.none()
            super().get_results(request)

    def url_for_result(self, result: Model) -> str:
        """Return the address of a row. A row without key, in a table without primary key, has no page and no link."""
        if result.pk is None:
            raise NoReverseMatch
        return super().url_for_result(result)


@cache
def printable_column(name: str, title: str) -> Callable[[Model], str]:
    """Return a column that escapes the unprintable characters of a text field."""

    @admin.display(description=title, ordering=name)
    def column(row: Model) -> str:
        value = getattr(row, name)
        return "-" if value is None else printable(str(value))

    column.__name__ = name
    return column


class ViewOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Show the rows of a huge table."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Facets count the whole table.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TypedChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._printable(name) for name in super().get_list_display(request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [self._printable(name) for name in super().get_fields(request, obj)]

    def _printable(self, name: Any) -> Any:
        titles = {field.name: str(field.verbose_name) for field in self.opts.fields if isinstance(field, TextField)}
        return printable_column(name, titles[name]) if name in titles else name

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row; None if no row can have the key, such as a word in a column of type uuid.

        A key that occurs twice, in a table without primary key, returns the first row.
        """
        self._warn_of_hidden_rows(request)
        rows = self.get_queryset(request)
        try:
            with _savepoint(rows.db):
                return super().get_object(request, object_id, from_field)
        except DataError:
            return None
        except self.model.MultipleObjectsReturned:
            same = rows.filter(pk=object_id)
            text = f"{same.count()} rows have this key, and this is the first: see check_consistency duplicate_keys."
            messages.warning(request, text)
            return same.first()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        self._warn_of_hidden_rows(request)
        return super().changelist_view(request, extra_context)

    def _warn_of_hidden_rows(self, request: HttpRequest) -> None:
        table = self.opts.db_table
        if table in MEDIA_TABLES and hides_rows(DEFAULT_DB_ALIAS, table):
            messages.warning(request, f"Row-level security applies to {table}, so that rows may be missing here.")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:  # type: ignore[override]
        """Allow the filters beside the list only: another lookup may read the whole table."""
        name = lookup.removesuffix("__exact").removesuffix("__isnull")
        return any(name == getattr(entry, "parameter_name", entry) for entry in self.get_list_filter(request))

    def _never(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = _never


class ReviewAdmin(ViewOnlyAdmin):
    """Show rows of the history. Only actions with a permission of their own change rows."""

    list_per_page = 25
    sortable_by = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Return the list; refuse an action that the user may not run (403)."""
        if request.POST.get("action", "") not in ("", *self.get_actions(request)):
            raise PermissionDenied
        if ERROR_FLAG in request.GET:
            messages.warning(request, "The address named a filter that does not exist; this is the list without it.")
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        """Redirect to the page of the row, which shows its history."""
        return HttpResponseRedirect(reverse(f"admin:consistency_{self.opts.model_name}_change", args=[object_id]))

    class Media:
        css = {"all": ["consistency/review.css"]}


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied (403) without a permission of this app."""
    if not request.user.has_perm(f"consistency.{permission}"):
        raise PermissionDenied


def overview_url(request: HttpRequest, database: str = DEFAULT_DB_ALIAS) -> str:
    """Return the overview, where actions on checks and scans lead; the landing page without view permission."""
    if not request.user.has_perm("consistency.view_scan"):
        return reverse("admin:index")
    url = reverse("admin:app_list", args=["consistency"])
    return url if database == DEFAULT_DB_ALIAS else f"{url}?database={quote(database)}"


def conflict(problem: object) -> ValidationError:
    """Return a form error of a request that may succeed when sent again (409)."""
    return ValidationError(str(problem), code=CONFLICT)


def form_status(form: Form) -> int:
    """Return the HTTP status of a page with this form."""
    return 200 if not form.errors else 409 if form.has_error(NON_FIELD_ERRORS, CONFLICT) else 400


def form_page(
    request: HttpRequest, model: type[Model], form: Form, *, title: str, about: str, **more: Any
) -> TemplateResponse:
    """Return the page of one form, which posts to its own address."""
    context = {
        **admin.site.each_context(request),
        "opts": model._meta,
        "form": form,
        "title": title,
        "about": about,
        "media": form.media,
        "sees_list": request.user.has_perm(f"consistency.view_{model._meta.model_name}"),
        **more,
    }
    return TemplateResponse(request, "admin/consistency/act.html", context, status=form_status(form))
