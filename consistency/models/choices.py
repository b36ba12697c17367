"""Words of the history's columns."""

from django.db import models


class Trigger(models.TextChoices):
    """Surface that started a scan."""

    COMMAND = "command"
    API = "api"
    ADMIN = "admin"


class State(models.TextChoices):
    """State of an anomaly after the last scan in which its check ran."""

    NEW = "new"
    ONGOING = "ongoing"
    RETURNED = "returned"
    RESOLVED = "resolved"


class EventKind(models.TextChoices):
    """Kind of an event in the history of an anomaly."""

    FOUND = "found"
    RETURNED = "returned"
    RESOLVED = "resolved"
    REVIEWED = "reviewed"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_ENDED = "acknowledgement_ended"
    ASSIGNED = "assigned"
    COMMENTED = "commented"


class Category(models.TextChoices):
    """Kind of reason for an acknowledgement, so that reasons can be counted."""

    EXPECTED = "expected", "Expected"
    BEING_REPAIRED = "being_repaired", "Being repaired"
    FALSE_ALARM = "false_alarm", "False alarm"
    LATER = "later", "Later"


ACKNOWLEDGEMENT_EVENTS = (EventKind.ACKNOWLEDGED.value, EventKind.ACKNOWLEDGEMENT_ENDED.value)


class MuteEnd(models.TextChoices):
    """Cause of the end of a mute."""

    TIME = "time"
    CLEAN = "clean"
    EXCEEDED = "exceeded"
    REPLACED = "replaced"
    UNMUTED = "unmuted"
