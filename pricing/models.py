"""Money over the catalog: what the provider charges, the rules that say it better, and what we add."""

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from catalog.models import AIModel, Provider, SyncRun
from genfeed.clients.models import Client


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


class MarginRule(models.Model):
    """How price follows from cost in a scope. The most specific scope wins, then the newest rule."""

    class Scope(models.TextChoices):
        CLIENT_MODEL = "client_model", "one client, one model"
        MODEL = "model"
        CLIENT = "client"
        CATEGORY = "category"
        PROVIDER = "provider"
        GLOBAL = "global", "everything"

    class Mode(models.TextChoices):
        MARGIN = "margin", "margin: price = cost / (1 − rate)"
        MARKUP = "markup", "markup: price = cost × (1 + rate)"
        FIXED = "fixed", "fixed price"

    scope = models.CharField(max_length=14, choices=Scope)
    client = models.ForeignKey(Client, null=True, blank=True, on_delete=models.PROTECT, related_name="margin_rules")
    model = models.ForeignKey(AIModel, null=True, blank=True, on_delete=models.PROTECT, related_name="margin_rules")
    category = models.CharField(max_length=80, blank=True)
    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.PROTECT, related_name="margin_rules")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.MARGIN)
    rate = models.CharField(max_length=20, default="0", help_text="Exact decimal: 0.70 is 70 %. Margin: under 1.")
    fixed_price = models.BigIntegerField(default=0, help_text="nano-USD, with mode fixed.")
    fee = models.BigIntegerField(default=0, help_text="nano-USD added to every charge.")
    minimum = models.BigIntegerField(default=0, help_text="nano-USD; the least that is charged.")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["scope", "-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_scope_display()}: {self.get_mode_display()}"


class MarginClock(models.Model):
    """The one row that says until when margin rules have been applied, and in which mode.

    Its lock puts changes of margin rules in order.
    """

    applied_until = models.DateTimeField(default=timezone.now)
    mode = models.CharField(max_length=5, blank=True, help_text="GENFEED_MODE of the prices that are published.")

    def __str__(self) -> str:
        return f"margins applied until {self.applied_until:%Y-%m-%d %H:%M}"


class SellingPrice(models.Model):
    """What one unit of a model sold for from a moment on, to clients without margin rules of their own. Never edited.

    The cost behind it is kept beside it, so that the history of a client with rules of its own can be told too.
    """

    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="selling_prices")
    effective_from = models.DateTimeField(default=timezone.now)
    price = models.JSONField(help_text="As the catalog showed it: amount, unit, currency, state, varies.")
    unit_cost = models.CharField(max_length=60, blank=True, help_text="USD, what one unit cost us; empty: unknown.")
    default_cost = models.BigIntegerField(null=True, help_text="nano-USD, what a default request cost us.")
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-effective_from", "-pk"]
        indexes = [models.Index(fields=["model", "effective_from"])]

    def __str__(self) -> str:
        return f"{self.model}: {self.price.get('amount')} USD per {self.price.get('unit')}"


class ProviderEstimate(models.Model):
    """What the provider's own estimate API said one call costs from its history; cached, because it is rate-limited."""

    model = models.OneToOneField(AIModel, on_delete=models.CASCADE, related_name="provider_estimate")
    cost = models.BigIntegerField(null=True, help_text="nano-USD a call; null: the provider has no history.")
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.model}: {self.cost}"


class ImmutableError(Exception):
    """Raised where something tries to change or delete a usage record."""


class UsageRecord(models.Model):
    """What one settled job used, cost and was charged. Immutable; reports and learned prices read only this."""

    job = models.CharField(max_length=40, unique=True, help_text="The job's id.")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="usage_records")
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="usage_records")
    unit = models.CharField(max_length=60, blank=True)
    units = models.CharField(max_length=40, blank=True, help_text="Billed units, exact decimal.")
    cost = models.BigIntegerField(help_text="nano-USD")
    charge = models.BigIntegerField(help_text="nano-USD")
    cost_source = models.CharField(max_length=16)
    features = models.JSONField(default=dict, help_text="The input fields that matter for the cost, e.g. resolution.")
    seconds = models.FloatField(null=True, help_text="From submission to result; for latencies, not for money.")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["model", "created_at"])]

    def __str__(self) -> str:
        return self.job

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ImmutableError("A usage record is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError("A usage record is never deleted.")


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
