"""What exists: providers, their models, the models' schema versions, and the syncs that found them."""

import zlib
from functools import cached_property
from typing import Any

import orjson
from django.db import models
from django.utils import timezone

from genfeed.clients.models import Client


def unknown_price() -> dict[str, Any]:
    """The selling price of a model before anything is known."""
    return {"amount": None, "unit": None, "currency": "USD", "state": "unknown", "varies": False}


class Provider(models.Model):
    """A company whose models we resell or call. Rows are made for those that can be asked, by `ensure_providers`."""

    class KeyState(models.TextChoices):
        UNKNOWN = "unknown", "not checked yet"
        MISSING = "missing", "not configured"
        VALID = "valid"
        INVALID = "invalid"
        UNREACHABLE = "unreachable", "could not be checked"

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    key_state = models.CharField(max_length=12, choices=KeyState, default=KeyState.UNKNOWN, editable=False)
    key_detail = models.CharField(max_length=300, blank=True, editable=False)
    key_checked_at = models.DateTimeField(null=True, editable=False)
    enable_caching = models.BooleanField(default=True, help_text="Stored results of its models may be used again.")

    class Meta:
        ordering = ["name"]
        permissions = [("sync_provider", "Can start a sync")]

    def __str__(self) -> str:
        return self.name


class Upstream(models.Model):
    """Whether something that we depend on out there can be reached, as any process of ours last found."""

    name = models.CharField(max_length=40, primary_key=True, help_text="A provider's slug, or another name.")
    reached_at = models.DateTimeField(null=True, help_text="It answered then; late by up to half a minute.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls in a row that found no connection.")
    reason = models.CharField(max_length=300, blank=True, help_text="What the last of them ended with.")
    offline_since = models.DateTimeField(null=True, help_text="Empty: online.")
    probe_at = models.DateTimeField(null=True, help_text="When it is asked again whether it is there.")
    sync_at = models.DateTimeField(null=True, help_text="It is back: when its catalog is caught up.")

    def __str__(self) -> str:
        return self.name


class KeyAge(models.Model):
    """Since when a key at a provider is in use here, and whether staff were told that it is old; never the key."""

    name = models.CharField(max_length=80, primary_key=True, help_text="The setting that holds it, or whose it is.")
    fingerprint = models.CharField(max_length=24, help_text="A keyed digest; another one is another key.")
    since = models.DateTimeField()
    reminded_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class AIModel(models.Model):
    """One endpoint of a provider that can be called.

    `switch` is a person's decision and never touched by a sync; `enabled` says whether clients are offered the
    model now, and follows from switch, status, schema and (later) price. Only `catalog.availability` writes both.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        DEPRECATED = "deprecated"
        RETIRED = "retired"

    class Switch(models.TextChoices):
        AUTO = "auto", "automatic"
        ON = "on"
        OFF = "off"

    class SchemaState(models.TextChoices):
        UNDERSTOOD = "understood"
        FLAGGED = "flagged", "understood, with remarks"
        MISSING = "missing"
        NOT_UNDERSTOOD = "not_understood", "not understood"

    class Origin(models.TextChoices):
        DISCOVERED = "discovered"
        MANUAL = "manual", "added by hand"
        EXISTING = "existing", "of the existing collection"

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.DISCOVERED)
    endpoint_id = models.CharField(max_length=255, help_text="The provider's own id, e.g. fal-ai/flux/dev.")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    category = models.CharField(max_length=80, db_index=True, blank=True, help_text="The provider's word; an open set.")
    media_type = models.CharField(max_length=10, db_index=True, default="other")
    media_type_source = models.CharField(max_length=10, default="none", help_text="What the media type was read from.")
    kind = models.CharField(max_length=20, default="inference")
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE, db_index=True)
    tags = models.JSONField(default=list)
    capabilities = models.JSONField(default=list)
    limits = models.JSONField(default=dict)
    thumbnail_url = models.CharField(max_length=1000, blank=True)
    metadata = models.JSONField(default=dict, help_text="The provider's own record, verbatim.")
    upstream_updated_at = models.CharField(max_length=40, blank=True, help_text="The provider's hint, verbatim.")

    upstream_version = models.CharField(
        max_length=80,
        blank=True,
        help_text="What the provider calls the version that was read; empty where it has none.",
    )

    # Of models added by hand alone (catalog.own_models).
    client = models.ForeignKey(
        Client, null=True, on_delete=models.PROTECT, related_name="+", help_text="Whom alone it is offered; empty: all."
    )
    runs_as = models.CharField(
        max_length=255, blank=True, help_text="The provider's id of what is called; empty: its own id."
    )
    fixed_input = models.JSONField(default=dict, help_text="Inputs that are always sent, and can't be sent otherwise.")

    switch = models.CharField(max_length=4, choices=Switch, default=Switch.AUTO)
    enabled = models.BooleanField(default=False, db_index=True)
    held_reason = models.CharField(max_length=30, blank=True, db_index=True)
    stopped_for = models.CharField(
        max_length=30, blank=True, help_text="Why the system took it off sale; empty once a person switched it on."
    )
    awaits_review = models.BooleanField(
        default=False, help_text="New under CATALOG_REVIEW_NEW; nobody has decided yet."
    )

    schema_state = models.CharField(max_length=16, choices=SchemaState, default=SchemaState.MISSING)
    schema_problem = models.CharField(max_length=500, blank=True)
    schema_version = models.PositiveIntegerField(default=0, help_text="The number of the current version; 0: none.")
    schema_checked_at = models.DateTimeField(null=True, db_index=True)

    # Written by pricing, through catalog.offers alone.
    priced = models.BooleanField(default=False, db_index=True, help_text="Whether its price allows a sale.")
    price = models.JSONField(default=unknown_price, help_text="Selling price: amount, unit, currency, state, varies.")
    legacy_pricing = models.JSONField(default=dict, help_text="Selling prices in the legacy shape, USD.")

    first_seen_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now, help_text="When anything that clients see last changed.")
    missed_listings = models.PositiveSmallIntegerField(default=0, help_text="Complete listings in a row without it.")
    retired_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveBigIntegerField(default=0, help_text="The catalog revision that last changed it.")

    class Meta:
        verbose_name = "model"
        ordering = ["endpoint_id"]
        constraints = [models.UniqueConstraint(fields=["provider", "endpoint_id"], name="model_is_unique_by_provider")]
        permissions = [("switch_aimodel", "Can switch models on and off")]

    def __str__(self) -> str:
        return self.endpoint_id


class DefaultModel(models.Model):
    """The model that runs where a request names `default:<category>`; a person's choice."""

    category = models.CharField(max_length=80, unique=True)
    model = models.OneToOneField(AIModel, on_delete=models.CASCADE, related_name="default")

    class Meta:
        ordering = ["category"]

    def __str__(self) -> str:
        return f"{self.model} for {self.category}"


class SchemaVersion(models.Model):
    """One immutable version of a model's input and output schema, with what changed since the one before."""

    class ChangeClass(models.TextChoices):
        INITIAL = "initial"
        COMPATIBLE = "compatible"
        BREAKING = "breaking"

    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="schema_versions")
    number = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    flags = models.JSONField(default=list, help_text="What was odd about the provider's document.")
    change_class = models.CharField(max_length=10, choices=ChangeClass, default=ChangeClass.INITIAL)
    changes = models.JSONField(default=list)
    # zlib-compressed JSON {document, input_schema, output_schema, inputs, outputs}: a tenth of the size, and nothing
    # in it is ever searched by the database.
    content = models.BinaryField()
    sync_run = models.ForeignKey("SyncRun", null=True, on_delete=models.SET_NULL, related_name="schema_versions")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="schema_version_number_is_unique")]

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"

    @staticmethod
    def pack(content: dict[str, Any]) -> bytes:
        """The bytes of `content`; level 1 because a discovery packs 1,400 of them and the rest gains little."""
        return zlib.compress(orjson.dumps(content), 1)

    @staticmethod
    def unpack(content: bytes) -> dict[str, Any]:
        """`{document, input_schema, output_schema, inputs, outputs}`, as `catalog.schemas.mapping` made them."""
        return orjson.loads(zlib.decompress(content))

    @cached_property
    def unpacked(self) -> dict[str, Any]:
        return self.unpack(bytes(self.content))


class SyncRun(models.Model):
    """One sync of a provider: queued, running or finished, with what it found. An open run is the provider's lease."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    OPEN = (Status.QUEUED, Status.RUNNING)

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="sync_runs")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED, db_index=True)
    trigger = models.CharField(max_length=20, help_text="schedule, admin, api or command.")
    requested_by = models.CharField(max_length=200, blank=True)
    full = models.BooleanField(default=False, help_text="Every schema fetched again, not only the changed ones.")
    source = models.CharField(max_length=300, blank=True, help_text="The address that was asked.")
    requested_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.CharField(max_length=32, blank=True)
    phase = models.CharField(max_length=60, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)

    listed = models.PositiveIntegerField(default=0)
    schemas_fetched = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0, help_text="Models with a new schema version.")
    updated = models.PositiveIntegerField(default=0, help_text="Models whose description or other metadata changed.")
    retired = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="Models whose schema could not be had or understood.")
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(null=True, help_text="The catalog revision that it published.")

    class Meta:
        ordering = ["-requested_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider"],
                condition=models.Q(status__in=["queued", "running"]),
                name="one_open_sync_a_provider",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} sync of {self.requested_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def seconds(self) -> float | None:
        """How long it took, or has been running."""
        if not self.started_at:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class CatalogState(models.Model):
    """The one row that carries the number of the published catalog. Its row lock puts publications in order."""

    revision = models.PositiveBigIntegerField(default=0)
    published_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"catalog revision {self.revision}"
