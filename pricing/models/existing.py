"""The collection that was there before, models that seem the same, and runs that calibrate a price."""

from django.db import models
from django.utils import timezone

from catalog.models import AIModel


class ExistingModel(models.Model):
    """A model of a collection that was there before, in the legacy shape: its price and toggle are kept as they are."""

    class Match(models.TextChoices):
        NONE = "none", "only in the existing collection"
        SAME = "same", "the same endpoint"
        EQUIVALENT = "equivalent", "the same model under another id or provider"

    legacy_id = models.CharField(max_length=255)
    provider_name = models.CharField(max_length=80)
    name = models.CharField(max_length=255)
    category = models.CharField(max_length=80, blank=True)
    pricing = models.JSONField(default=dict, help_text="Verbatim: input, output, image, video, fixedPrice in USD.")
    enabled = models.BooleanField(default=True)
    extra = models.JSONField(default=dict, help_text="Fields of the import that the shape does not name, verbatim.")
    model = models.OneToOneField(
        AIModel, on_delete=models.PROTECT, related_name="existing", help_text="The row that stands for it here."
    )
    match = models.CharField(max_length=12, choices=Match, default=Match.NONE)
    counterpart = models.ForeignKey(
        AIModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="The equivalent found."
    )
    reason = models.CharField(max_length=300, blank=True)
    provider_cost = models.JSONField(
        default=dict, help_text="The provider's cost in the legacy shape, beside the price."
    )
    keeps_price = models.BooleanField(
        default=True, help_text="Its own price stands. Off once the owner has adopted the price that margin rules make."
    )
    imported_at = models.DateTimeField(default=timezone.now)
    enhanced_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["provider_name", "legacy_id"]
        constraints = [
            models.UniqueConstraint(fields=["provider_name", "legacy_id"], name="existing_model_is_unique"),
        ]
        permissions = [("decide_existing", "Can confirm duplicates and adopt prices of the existing collection")]

    def __str__(self) -> str:
        return f"{self.provider_name}:{self.legacy_id}"


class Equivalence(models.Model):
    """Two rows that seem to be the same model under another id or provider. Linked and reported, never merged."""

    class State(models.TextChoices):
        SUGGESTED = "suggested", "suggested, waits for a person"
        CONFIRMED = "confirmed"
        REJECTED = "rejected", "not the same"

    # The one with the smaller key is `left`, so that a pair is one row.
    left = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="+")
    right = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="+")
    score = models.PositiveSmallIntegerField(help_text="0 to 100: how much speaks for it. 100 only by a person.")
    reason = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=State, default=State.SUGGESTED, db_index=True)
    found_at = models.DateTimeField(default=timezone.now)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-score", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["left", "right"], name="equivalence_is_unique"),
            models.CheckConstraint(condition=models.Q(left__lt=models.F("right")), name="equivalence_is_ordered"),
        ]

    def __str__(self) -> str:
        return f"{self.left} ≈ {self.right}"


class Calibration(models.Model):
    """A few runs at the operator's cost that show what a model with an opaque unit really costs."""

    class State(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        PROPOSED = "proposed", "price proposed"
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="calibrations")
    inputs = models.JSONField(help_text="A list of inputs to run, each valid for the model's schema.")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    observations = models.JSONField(default=list, help_text="One a run: input, units, unit, cost (nano-USD).")
    proposed_unit = models.CharField(max_length=60, blank=True)
    proposed_price = models.CharField(max_length=40, blank=True)
    created_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"calibration of {self.model}"
