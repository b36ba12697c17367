"""The page that groups the open anomalies of a check by cause."""

from typing import Final

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from common.choices import UnknownChoiceError
from consistency.history.queries import causes, validate_check
from consistency.models.history import Anomaly

MAX_CAUSES: Final = 200


def causes_page(request: HttpRequest, *, may_acknowledge: bool) -> TemplateResponse:
    """Return the page of the check in the address. Raises Http404 for an unknown check."""
    try:
        check = validate_check(request.GET.get("check", ""))
    except UnknownChoiceError:
        raise Http404 from None
    groups = causes(check, MAX_CAUSES + 1)
    for group in groups:
        group["query"] = urlencode({"check": check, "cause": group["cause"]})
        group["count"] = f"{group['number']:,}"
    context = {
        **admin.site.each_context(request),
        "opts": Anomaly._meta,
        "title": f"Causes of {check}",
        "check": check,
        "groups": groups[:MAX_CAUSES],
        "limit": MAX_CAUSES if len(groups) > MAX_CAUSES else None,
        "may_acknowledge": may_acknowledge,
    }
    return TemplateResponse(request, "admin/consistency/anomaly/causes.html", context)
