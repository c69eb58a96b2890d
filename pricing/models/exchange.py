"""Exports of the catalog that wait to be fetched, and what this installation has taken from another one."""

from django.db import models
from django.utils import timezone

from catalog.models import AIModel


class ExportState(models.Model):
    """The one row that says which export is the newest. `revision` grows with every change of what is exported."""

    revision = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=64, blank=True, help_text="SHA-256 over all records.")
    made_at = models.DateTimeField(null=True)
    made_of = models.CharField(max_length=80, blank=True, help_text="Catalog revision and newest bill that it shows.")
    public_key = models.CharField(max_length=44, blank=True, help_text="What all exports are signed with.")

    def __str__(self) -> str:
        return f"export {self.revision}"


class PastExport(models.Model):
    """An export that was the newest once. Elsewhere, one of the same number may say something else."""

    revision = models.PositiveBigIntegerField(unique=True)
    state = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"export {self.revision}"


class ExportedModel(models.Model):
    """What the newest export says of one model, packed, and the export that said it first."""

    model = models.OneToOneField(AIModel, on_delete=models.CASCADE, related_name="exported")
    digest = models.CharField(max_length=64)
    revision = models.PositiveBigIntegerField(db_index=True)
    body = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.model} in export {self.revision}"


class RenderedExport(models.Model):
    """The bytes of an export, signed: of the whole catalog (`since` 0), or of what changed after that export.

    Kept in the database, so that a download goes on at whichever web process it is continued.
    """

    revision = models.PositiveBigIntegerField()
    since = models.PositiveBigIntegerField()
    body = models.BinaryField()
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "since"], name="one_rendered_export")]

    def __str__(self) -> str:
        return f"export {self.revision} since {self.since}"


class CloudCatalog(models.Model):
    """The one row about the catalog that came from another installation: whose it is, and how far it was taken."""

    public_key = models.CharField(max_length=44, help_text="Pinned at first use; exports of other keys are refused.")
    pinned_at = models.DateTimeField(default=timezone.now)
    revision = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=64, blank=True)
    made_at = models.CharField(max_length=40, blank=True, help_text="When the export was made, by its maker's clock.")
    sha256 = models.CharField(max_length=64, blank=True)
    signature = models.CharField(max_length=100, blank=True)
    origin = models.CharField(max_length=300, blank=True, help_text="The address or the file that it came from.")
    imported_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True, help_text="When the cloud last answered.")

    class Meta:
        verbose_name = verbose_name_plural = "catalog from the cloud"

    def __str__(self) -> str:
        return f"catalog {self.revision} of {self.origin or self.public_key}"
