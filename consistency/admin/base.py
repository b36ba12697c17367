"""What the pages share: rows that nobody edits in place, in tables that may be huge, and acts that are logged."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, connections, transaction
from django.db.models import Model, TextField
from django.forms import Form
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.text import capfirst

from common.text import printable
from consistency.history.paginator import BoundedPaginator

MEMORY = "default"

NOT_NOW: Final = "not_now"


def _unharmed(database: str) -> AbstractContextManager[Any]:
    """In a transaction, a savepoint: an error would end it; else nothing, which is two questions less."""
    return transaction.atomic(using=database) if connections[database].in_atomic_block else nullcontext()


class TolerantChangeList(ChangeList):
    """No rows where a column's type (uuid, enum) does not know the word that the address asks for; a word that a
    filter of ours does not know is refused, since the page could not show that it is on.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        for chosen in (one for one in found[0] if isinstance(one, admin.SimpleListFilter)):
            if chosen.value() not in (None, *(str(word) for word, _ in chosen.lookup_choices)):
                raise IncorrectLookupParameters(f"{chosen.parameter_name}={chosen.value()}")
        return found

    def get_results(self, request: HttpRequest) -> None:
        try:
            with _unharmed(self.queryset.db):
                super().get_results(request)
        except DataError:
            self.queryset = self.queryset.none()
            super().get_results(request)


@cache
def legible(name: str, title: str) -> Callable[[Model], str]:
    """A column of text, which anybody may have written, as a page may show it."""

    @admin.display(description=title, ordering=name)
    def column(row: Model) -> str:
        value = getattr(row, name)
        return "-" if value is None else printable(str(value))

    column.__name__ = name
    return column


class ReviewList(TolerantChangeList):
    """A list that may be of a million."""

    def get_results(self, request: HttpRequest) -> None:
        """Rows as the paginator has them, of the only page too; for who wants them."""
        super().get_results(request)
        size = self.result_count if self.show_all and self.can_show_all else self.list_per_page
        first = (self.page_num - 1) * size
        self.result_list = SimpleLazyObject(
            lambda: self.paginator.listed.rows(first, first + size) if self.result_count else []
        )


class ViewOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that another program owns, in tables that may be huge."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Each would count the whole table.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TolerantChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._legible(name) for name in super().get_list_display(request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [self._legible(name) for name in super().get_fields(request, obj)]

    def _legible(self, name: Any) -> Any:
        titles = {field.name: str(field.verbose_name) for field in self.opts.fields if isinstance(field, TextField)}
        return legible(name, titles[name]) if name in titles else name

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; None where no row can have this key, as a word in a column of type uuid."""
        try:
            with _unharmed(self.get_queryset(request).db):
                return super().get_object(request, object_id, from_field)
        except DataError:
            return None

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:  # type: ignore[override]
        """Only what the filters beside the list ask: any other may read the whole table."""
        return any(lookup in _lookups(one) for one in self.get_list_filter(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _lookups(one: Any) -> tuple[str, ...]:
    return (one, f"{one}__exact", f"{one}__isnull") if isinstance(one, str) else (one.parameter_name,)


class ReviewAdmin(ViewOnlyAdmin):
    """The same for what review remembers: changed by acts alone, each with a permission of its own."""

    list_per_page = 25

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ReviewList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's, named after what it is; an act that is not for who asks is refused (403)."""
        if request.POST.get("action", "") not in ("", *self.get_actions(request)):
            raise PermissionDenied
        if ERROR_FLAG in request.GET:
            messages.warning(request, "The address named a filter that does not exist; this is the list without it.")
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    class Media:
        css = {"all": ["consistency/review.css"]}


def require(request: HttpRequest, permission: str) -> None:
    """Refuse who may not (403)."""
    if not request.user.has_perm(f"consistency.{permission}"):
        raise PermissionDenied


def overview_address(request: HttpRequest, database: str = MEMORY) -> str:
    """Where one goes after an act on a check or a scan; the landing page for who may act but not see."""
    if not request.user.has_perm("consistency.view_scan"):
        return reverse("admin:index")
    address = reverse("admin:app_list", args=["consistency"])
    return address if database == MEMORY else f"{address}?database={quote(database)}"


def log(user: Any, model: type[Model], act: str, rows: Iterable[Model] = (), flag: int = CHANGE) -> list[LogEntry]:
    """Write an act into the admin's log: once per row, or once in all where no rows are named."""
    # Django's own pages show the log as it is.
    act = printable(act)
    kind = ContentType.objects.get_for_model(model).pk
    named: list[tuple[str | None, str]] = [(str(row.pk), str(row)[:200]) for row in rows]
    return LogEntry.objects.bulk_create(
        LogEntry(
            action_time=timezone.now(),
            user_id=user,
            content_type_id=kind,
            object_id=number,
            object_repr=name,
            action_flag=flag,
            change_message=act,
        )
        for number, name in named or [(None, act[:200])]
    )


def not_now(problem: object) -> ValidationError:
    """What to say on an act's page where somebody else came first: the same may do in a moment."""
    return ValidationError(str(problem), code=NOT_NOW)


def act_page(
    request: HttpRequest, model: type[Model], form: Form, *, title: str, about: str, **more: Any
) -> TemplateResponse:
    """The page that asks for the reason of an act; it posts to where it was shown."""
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
    wrong = 409 if form.has_error(NON_FIELD_ERRORS, NOT_NOW) else 400
    return TemplateResponse(request, "admin/consistency/act.html", context, status=wrong if form.errors else 200)
