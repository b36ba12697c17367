"""The table of identities. Each row has a folder with identity.json on disk."""

from django.db import models
from django.db.models.functions import Coalesce, Now

from common.text import printable
from consistency.expressions import constant, text
from consistency.registry import Columns


class Identity(models.Model):
    """A person that the platform can recognise. `uuid` is also the name of the folder; names are not unique."""

    class Source(models.TextChoices):
        TMDB = "tmdb", "TMDB"
        MERGED = "merged", "merged"
        AUTO = "auto", "auto"

    uuid = models.TextField(primary_key=True)
    name = models.TextField()
    source = models.TextField(choices=Source.choices, default=Source.AUTO, db_default=Source.AUTO)
    metadata = models.JSONField(default=dict, blank=True, db_default=models.Value({}, models.JSONField()))
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "identities"
        verbose_name_plural = "identities"
        ordering = ("uuid",)

    def __str__(self) -> str:
        return printable(self.name or str(self.uuid))

    @classmethod
    def finding_columns(cls) -> Columns:
        """Return the columns of an identity finding. A null uuid is the word `null`."""
        return Columns(object_type="identity", object_id=Coalesce(text("uuid"), constant("null")))
