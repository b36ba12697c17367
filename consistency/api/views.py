"""Review over REST: what scans found and remembered; who has the permission acknowledges, mutes and scans."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib.admin.models import ADDITION, CHANGE
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from common.choices import UnknownChoiceError
from common.times import format_minute
from consistency.api import answers, query
from consistency.api import openapi as words
from consistency.api.access import Conflict, ReviewViewSet, fails_alone, log
from consistency.api.serializers import AcknowledgeBody, MuteBody, ScanBody, read
from consistency.history import formats as memory_formats
from consistency.history import lists, names
from consistency.history.recorder import scan_and_record
from consistency.history.silence import MEMORY, acknowledge, end_acknowledgement, mute, unmute
from consistency.history.turns import hold
from consistency.models.history import Anomaly, Mute, Scan, Trigger
from consistency.scan import formats
from consistency.scan.selection import chosen

TAGS: Final = ["consistency"]
LOOK_SECONDS: Final = 10.0
RECORD_SECONDS: Final = 20.0
BAD: Final = {"_400": f"unknown state 'opne'. Did you mean 'open'? Allowed: {', '.join(query.STATES)}."}
BAD_BODY: Final = {
    "_400": "for: '7' is not a length of time. Expected: a number and s, m, h, d or w, such as 30s or 7d"
}
MAY_NOT: Final = {"_403": "This needs the permission consistency.mute_check; an API key only reads."}
UNREAD: Final = {"_413": "The body is too large.", "_415": 'Unsupported media type "text/plain" in request.'}
NO_PARAMETERS: Final = {"_400": "'database' is not known here: this address takes no parameters."}
NO_ANOMALY: Final = {"_404": "No anomaly has the number 7."}
RACE: Final = {"_409": "Somebody else did the same at that moment. Look, and try again."}
NO_CHECK: Final = {"_404": "unknown check 'stale_procesing'. Did you mean 'stale_processing'? Allowed: ..."}


class ChecksViewSet(ReviewViewSet):
    """The checks, what each last came to, and its mute."""

    acts = {"mute": "consistency.mute_check", "unmute": "consistency.mute_check"}
    asked = ("overview", "unmute")

    @extend_schema(
        operation_id="consistency_checks",
        tags=TAGS,
        parameters=words.OF_DATABASE,
        responses={200: words.CHECKS_ANSWER, **words.refusals(**BAD)},
    )
    def overview(self, request: Request) -> Response:
        """Every check with what it came to in the last recorded scan that ran it; retired ones come last."""
        return Response({"checks": answers.checks(query.database(request.query_params))})

    @extend_schema(
        operation_id="consistency_mute",
        tags=TAGS,
        request=MuteBody,
        examples=[
            OpenApiExample(
                "For a week", request_only=True, value={"for": "7d", "reason": "The new importer lands on Monday."}
            )
        ],
        responses={200: words.CHECK_ANSWER, **words.refusals(**BAD_BODY, **MAY_NOT, **NO_CHECK, **RACE, **UNREAD)},
    )
    def mute(self, request: Request, check: str) -> Response:
        """Agree that this check decides no status, no exit code and no notice for a while; in place of its last mute.

        Ends at its time and, unless sticky, when the count rises above what was muted or the check is clean.
        """
        _named(lambda: names.check(check))
        body = read(MuteBody, request.data)
        told = body.validated_data
        by, database = request.user.get_username(), told["database"]
        names.to_mute(check, database)
        with transaction.atomic(using=MEMORY):
            made = mute(check, until=body.until, by=by, reason=told["reason"], sticky=told["sticky"], database=database)
            log(request, made, ADDITION, f"Muted until {format_minute(made.until)}, over REST: {made.reason}")
        return Response(answers.check(check, database))

    @extend_schema(
        operation_id="consistency_unmute",
        tags=TAGS,
        parameters=words.OF_DATABASE,
        responses={200: words.CHECK_ANSWER, **words.refusals(**BAD, **MAY_NOT, _404="stale_processing is not muted.")},
    )
    def unmute(self, request: Request, check: str) -> Response:
        """End the mute of this check, on a database; of retired ones too."""
        database = query.database(request.query_params)
        with transaction.atomic(using=MEMORY):
            running = Mute.objects.using(MEMORY).filter(check_name=check, database=database, ended_at__isnull=True)
            ending = running.first()
            if ending is None or not unmute(check, database=database, number=ending.pk):
                _named(lambda: names.check(check))
                raise NotFound(f"{check} is not muted on database {database!r}.")
            log(request, ending, CHANGE, f"Unmuted, over REST; it was muted for: {ending.reason}")
        return Response(answers.check(check, database))


class ScansViewSet(ReviewViewSet):
    """The scans that are remembered, and a new one."""

    acts = {"create": "consistency.scan_now"}
    asked = ("scans",)

    def patience(self, action: str | None) -> float:
        """A scan looks, twice with a pause between them, and records."""
        if action != "create":
            return super().patience(action)
        pause = settings.CONSISTENCY_CONFIRM
        return LOOK_SECONDS * (2 if pause else 1) + pause + RECORD_SECONDS

    @extend_schema(
        operation_id="consistency_scans",
        tags=TAGS,
        parameters=words.SCAN_FILTERS,
        responses={200: words.SCANS_ANSWER, **words.refusals(_400="limit must be one whole number from 1 to 1000.")},
    )
    def scans(self, request: Request) -> Response:
        """The recorded scans, newest first, with what each check came to."""
        found = query.scans(request.query_params)
        return Response(answers.page(request, "scans", found, memory_formats.scan_dict))

    @extend_schema(
        operation_id="consistency_scan",
        tags=TAGS,
        responses={200: words.SCAN_ANSWER, **words.refusals(**NO_PARAMETERS, _404="No scan has the number 42.")},
    )
    def retrieve(self, request: Request, number: int) -> Response:
        """One recorded scan."""
        found = Scan.objects.using(MEMORY).prefetch_related("checks").filter(pk=number).first()
        if found is None:
            raise NotFound(f"No scan has the number {number}; old ones are forgotten.")
        return Response(memory_formats.scan_dict(found))

    @extend_schema(
        operation_id="consistency_scan_now",
        tags=TAGS,
        request=ScanBody,
        examples=[
            OpenApiExample("What every report asks", request_only=True, value={}),
            OpenApiExample("One check", request_only=True, value={"checks": ["stale_processing"]}),
        ],
        responses={
            **words.SCANNED_ANSWERS,
            **words.refusals(
                _400="checks: unknown check 'stale'. Did you mean 'stale_processing'? Allowed: ...",
                _409="another scan of database 'default' is under way: try again when it is done.",
                **MAY_NOT | {"_403": MAY_NOT["_403"].replace("mute_check", "scan_now")},
                **UNREAD,
            ),
        },
    )
    def create(self, request: Request) -> Response:
        """Scan now, and record it: 201; if the report cannot be recorded it stands, with 200 and the reason."""
        told = read(ScanBody, request.data).validated_data
        done = scan_and_record(
            chosen(told["checks"], told["tags"]),
            database=told["database"],
            trigger=Trigger.API,
            actor=request.user.get_username(),
            timeout=LOOK_SECONDS,
        )
        report = formats.as_dict(done.report)
        if done.scan is None:
            return Response(report | {"recorded": None, "problem": done.problem})
        _log_scan(request, done.scan.id)
        address = reverse("consistency-scan", args=[done.scan.id])
        return Response(report | {"recorded": done.scan.as_dict()}, status=201, headers={"Location": address})


class AnomaliesViewSet(ReviewViewSet):
    """The anomalies that are remembered, and their acknowledgement."""

    acts = {
        "acknowledge": "consistency.acknowledge_anomaly",
        "end_acknowledgement": "consistency.acknowledge_anomaly",
    }
    asked = ("anomalies",)

    @extend_schema(
        operation_id="consistency_anomalies",
        tags=TAGS,
        parameters=words.ANOMALY_FILTERS,
        responses={200: words.ANOMALIES_ANSWER, **words.refusals(**BAD)},
    )
    def anomalies(self, request: Request) -> Response:
        """What scans found and remembered, by default all that is open, what was new or back last first.

        Resolved ones come by when they were resolved, unless `since` or `scan` asks when they came. A page goes on
        after the last row of the one before: rows that come or go meanwhile shift nothing.
        """
        agreed = lists.agreed()
        found = query.anomalies(request.query_params, agreed)
        return Response(
            answers.page(request, "anomalies", found, lambda row: memory_formats.anomaly_dict(row, agreed.mutes))
        )

    @extend_schema(
        operation_id="consistency_anomaly",
        tags=TAGS,
        responses={200: words.ANOMALY_ANSWER, **words.refusals(**NO_PARAMETERS, **NO_ANOMALY)},
    )
    def retrieve(self, request: Request, number: int) -> Response:
        """One anomaly, resolved ones too."""
        return Response(memory_formats.anomaly_dict(_found(number), lists.in_force()))

    @extend_schema(
        operation_id="consistency_acknowledge",
        tags=TAGS,
        request=AcknowledgeBody,
        examples=[
            OpenApiExample("For a day", request_only=True, value={"for": "1d", "reason": "Being requeued by hand."})
        ],
        responses={
            200: words.ANOMALY_ANSWER,
            **words.refusals(
                **BAD_BODY,
                **MAY_NOT | {"_403": MAY_NOT["_403"].replace("mute_check", "acknowledge_anomaly")},
                **NO_ANOMALY,
                _409="Anomaly 7 is resolved: there is nothing to acknowledge.",
                **UNREAD,
            ),
        },
    )
    def acknowledge(self, request: Request, number: int) -> Response:
        """Agree that this anomaly decides nothing for a while; in place of an acknowledgement that it has.

        Ends at its time, when the row's detail changes, and when it returns after being resolved.
        """
        anomaly = _found(number)
        body = read(AcknowledgeBody, request.data)
        until, reason = body.until, body.validated_data["reason"]
        with transaction.atomic(using=MEMORY):
            hold([number], Q())
            if not acknowledge([number], until=until, by=request.user.get_username(), reason=reason):
                raise Conflict(f"Anomaly {number} is resolved: there is nothing to acknowledge.")
            log(request, anomaly, CHANGE, f"Acknowledged until {format_minute(until)}, over REST: {reason}")
        return self.retrieve(request, number)

    @extend_schema(
        operation_id="consistency_end_acknowledgement",
        tags=TAGS,
        responses={
            200: words.ANOMALY_ANSWER,
            **words.refusals(
                **NO_PARAMETERS,
                **MAY_NOT | {"_403": MAY_NOT["_403"].replace("mute_check", "acknowledge_anomaly")},
                _404="Anomaly 7 is not acknowledged.",
                _409="A scan is being recorded: try again in a moment.",
            ),
        },
    )
    def end_acknowledgement(self, request: Request, number: int) -> Response:
        """Let this anomaly be heard again."""
        anomaly = _found(number)
        with transaction.atomic(using=MEMORY):
            hold([number], Q())
            if not end_acknowledgement([number]):
                raise NotFound(f"Anomaly {number} is not acknowledged.")
            log(request, anomaly, CHANGE, "Acknowledgement ended, over REST.")
        return self.retrieve(request, number)


def _named(look: Callable[[], str]) -> None:
    """In an address an unknown name is 404, with the one that may be meant."""
    try:
        look()
    except UnknownChoiceError as problem:
        raise NotFound(str(problem)) from None


def _log_scan(request: Request, number: int) -> None:
    with fails_alone():
        log(request, Scan.objects.using(MEMORY).get(pk=number), ADDITION, "Scanned, over REST.")


def _found(number: int) -> Anomaly:
    found = Anomaly.objects.using(MEMORY).filter(pk=number).first()
    if found is None:
        raise NotFound(f"No anomaly has the number {number}; those long resolved are forgotten.")
    return found
