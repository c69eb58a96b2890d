"""What the provider charges: prices over time, price rules, and where the pricing of each model stands."""

from django.db import models
from django.utils import timezone

from catalog.models import AIModel, SyncRun


class PricePoint(models.Model):
    """One price of a model from a moment on, as the provider's price API or a person says it.

    Points are never edited: a newer one ends the one before. A point that the guards stopped waits as `held` until a
    person accepts or rejects it, while the old price stays.
    """

    class Source(models.TextChoices):
        ADVERTISED = "advertised", "provider's price API"
        OBSERVED = "observed", "our own bills"
        MANUAL = "manual", "set by hand"

    class Standing(models.TextChoices):
        CURRENT = "current"
        HELD = "held", "waits for a decision"
        REJECTED = "rejected"
        PAST = "past"

    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="price_points")
    source = models.CharField(max_length=12, choices=Source)
    standing = models.CharField(max_length=10, choices=Standing, db_index=True)
    unit = models.CharField(max_length=60, blank=True, help_text="Normalised: stripped and lower case.")
    raw_unit = models.CharField(max_length=60, blank=True, help_text="As the provider wrote it.")
    unit_price = models.CharField(max_length=40, help_text="Exact decimal in canonical form, USD.")
    currency = models.CharField(max_length=3, default="USD")
    is_free = models.BooleanField(default=False, help_text="A person has confirmed that a price of 0 means free.")
    change_percent = models.FloatField(null=True, help_text="Against the price before; for people and guards only.")
    why = models.CharField(max_length=300, blank=True, help_text="Why it is held, or what was decided.")
    sync_run = models.ForeignKey(SyncRun, null=True, on_delete=models.SET_NULL, related_name="price_points")
    seen_at = models.DateTimeField(default=timezone.now)
    effective_from = models.DateTimeField(null=True, db_index=True)
    effective_to = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(standing="current"), name="one_current_price_a_model"
            ),
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(standing="held"), name="one_held_price_a_model"
            ),
        ]
        permissions = [("decide_price", "Can accept and reject held prices and set prices by hand")]

    def __str__(self) -> str:
        return f"{self.model} {self.unit_price} {self.currency} per {self.unit or '(no unit)'}"


class PriceRule(models.Model):
    """How a request's input turns into a cost where one flat row does not say: data, read by `rules.interpreter`."""

    class Source(models.TextChoices):
        NOTE = "note", "provider's price text"
        OBSERVED = "observed", "our own bills"
        MANUAL = "manual", "written by hand"
        CLOUD = "cloud", "catalog of the cloud"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        ACTIVE = "active"
        RETIRED = "retired"

    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="price_rules")
    source = models.CharField(max_length=10, choices=Source)
    state = models.CharField(max_length=10, choices=State, db_index=True)
    body = models.JSONField(help_text="As docs/price-rule.schema.json says.")
    billed_in = models.CharField(
        max_length=60, blank=True, help_text="The unit that the text speaks of, where another."
    )
    problems = models.JSONField(default=list, help_text="What the reader could not map, in words.")
    remarks = models.JSONField(default=list)
    contradicts_row = models.BooleanField(default=False)
    text_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of what it was read from.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=200, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(state="active"), name="one_active_rule_a_model"
            ),
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(state="proposed"), name="one_proposed_rule_a_model"
            ),
        ]
        permissions = [("decide_rule", "Can activate, retire and write price rules")]

    def __str__(self) -> str:
        return f"{self.model}: {self.state} rule from {self.get_source_display()}"


class ModelPricing(models.Model):
    """Where the pricing of one model stands now: texts, memory of the price API, and the estimate of a default request.

    Everything here but texts and memory follows from price points, rules, schema and margin rules, and is written by
    `pricing.selling.offers` alone.
    """

    class State(models.TextChoices):
        ADVERTISED = "advertised"
        RULED = "ruled"
        OBSERVED = "observed"
        MANUAL = "manual"
        UNKNOWN = "unknown"

    model = models.OneToOneField(AIModel, on_delete=models.CASCADE, related_name="pricing")
    state = models.CharField(max_length=12, choices=State, default=State.UNKNOWN, db_index=True)
    # Memory of the provider's price API.
    has_row = models.BooleanField(null=True, help_text="Whether the price API knows it; null: never asked.")
    asked_at = models.DateTimeField(null=True, db_index=True)
    # The provider's price texts.
    price_note = models.TextField(blank=True)
    billing_message = models.TextField(blank=True)
    machine_type = models.CharField(max_length=40, blank=True)
    texts_at = models.DateTimeField(null=True, help_text="When the texts were last read from the provider.")
    read_digest = models.CharField(max_length=64, blank=True, help_text="Digest of texts, row and schema last read.")
    # The estimate of a request with nothing but its required fields.
    default_cost = models.BigIntegerField(null=True, help_text="nano-USD")
    default_confidence = models.CharField(max_length=12, default="unknown", db_index=True)
    default_units = models.CharField(max_length=40, blank=True)
    default_unit = models.CharField(max_length=60, blank=True)
    default_basis = models.TextField(blank=True)
    default_missing = models.JSONField(default=list)
    # What follows from it for selling, before any margin: `pricing.selling.standing.Standing` as JSON.
    standing = models.JSONField(default=dict)
    computed_at = models.DateTimeField(null=True)
    # What an admin says of the model's quality (low, medium, high, ultra); empty: derived.
    quality = models.CharField(max_length=8, blank=True)

    class Meta:
        verbose_name_plural = "model pricing"

    def __str__(self) -> str:
        return f"{self.model}: {self.state}"


class ProviderEstimate(models.Model):
    """What the provider's own estimate API said one call costs from its history; cached, because it is rate-limited."""

    model = models.OneToOneField(AIModel, on_delete=models.CASCADE, related_name="provider_estimate")
    cost = models.BigIntegerField(null=True, help_text="nano-USD a call; null: the provider has no history.")
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.model}: {self.cost}"
