"""Customers of the API and their keys."""

from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from genfeed.journal.models import OutboxEvent

SCOPES = {
    "models:read": "List and read the models of the catalog.",
    "estimates": "Ask what requests and workflows cost, and which model fits.",
    "jobs:write": "Run and cancel jobs, which spends money.",
    "jobs:read": "See jobs and what they made.",
    "usage:read": "See usage, balance, budgets and statements.",
    "budgets": "Set the client's own budgets.",
    "webhooks": "Manage webhook endpoints and see deliveries.",
    "keys": "Make, rotate and revoke the client's own API keys, with no more than the scopes of this one.",
    "admin": "Everything that staff may do over the API: see held models and costs, switch models, start syncs.",
}


def check_timezone(name: str) -> None:
    """Refuses what is no IANA time zone, e.g. Europe/Berlin."""
    if name not in available_timezones():
        raise ValidationError(f"{name} is no time zone; use an IANA name such as UTC or Europe/Berlin.")


# What a client's test side has of the client itself.
OF_BOTH_SIDES = (
    "is_active", "timezone", "allowed_models", "denied_models", "caps", "may_disable_safety_checker", "enable_caching",
    "withholds_nsfw", "jobs_per_minute", "reads_per_minute", "max_in_flight", "max_queued", "max_open_in_batches",
)  # fmt: skip


_LONGEST_BEFORE_MARK = 170


class CustomerManager(models.Manager):
    """Clients themselves, without their test sides: for lists and choices of people."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(test_of=None)


class Client(models.Model):
    """A customer of the API (an organisation)."""

    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True, help_text="Keys of an inactive client are refused.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    email = models.EmailField(blank=True, help_text="Where notices about balance, budgets and keys go.")
    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[check_timezone],
        help_text="Days and months of budgets, usage and statements begin by its clock, e.g. Europe/Berlin.",
    )
    # Lists of model ids; a * at the end stands for anything. They bound every key of the client.
    allowed_models = models.JSONField(default=list, blank=True, help_text="Only these models; empty: all.")
    denied_models = models.JSONField(default=list, blank=True, help_text="None of these, whatever is allowed.")
    # What one request may ask for at most: images, megapixels, seconds, frames, prompt_characters; 0: no cap.
    caps = models.JSONField(default=dict, blank=True, help_text="Caps of its own instead of the settings'.")
    may_disable_safety_checker = models.BooleanField(
        default=False, help_text="Its requests may switch the provider's safety checker off."
    )
    enable_caching = models.BooleanField(
        "may use stored results", default=True, help_text="Requests that say so may be answered by an earlier result."
    )
    withholds_nsfw = models.BooleanField(
        "withhold NSFW files",
        default=False,
        help_text="Files that a model flags as NSFW are kept from this client; else they come with the flag.",
    )
    # Limits of its own; empty: the settings' defaults.
    jobs_per_minute = models.PositiveIntegerField(null=True, blank=True)
    reads_per_minute = models.PositiveIntegerField(null=True, blank=True)
    max_in_flight = models.PositiveIntegerField(null=True, blank=True, help_text="Jobs at the provider at once.")
    max_queued = models.PositiveIntegerField(null=True, blank=True, help_text="Jobs that may wait here beyond those.")
    max_open_in_batches = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs of batches that may wait or run at once."
    )

    # A client's test side (genfeed.clients.sides): what its test keys do is kept as another client's, and never mixes.
    test_of = models.OneToOneField(
        "self", null=True, blank=True, editable=False, on_delete=models.CASCADE, related_name="test_side"
    )

    objects = models.Manager()
    customers = CustomerManager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="client_name_is_unique")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        if not self.is_test:
            # The same terms and limits hold for both sides.
            side = Client.objects.filter(test_of=self)
            if side.exists():
                side.update(name=self.name_of_test_side(), **{name: getattr(self, name) for name in OF_BOTH_SIDES})

    @property
    def is_test(self) -> bool:
        """Whether this is the test side of a client."""
        return self.test_of_id is not None

    def name_of_test_side(self) -> str:
        """How its test side is called: after it, and as nobody else is."""
        name = f"{self.name[:_LONGEST_BEFORE_MARK]} (test)"
        is_taken = Client.objects.filter(name__iexact=name).exclude(test_of=self).exists()
        return f"{self.name[:_LONGEST_BEFORE_MARK]} (test {self.pk})" if is_taken else name


class ApiKey(models.Model):
    """A key of a client: prefix for people, SHA-256 of the whole for the check; the key itself is shown once."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, default="default")
    prefix = models.CharField(max_length=20, editable=False, help_text="The first characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list, help_text="What the key may do.")
    is_test = models.BooleanField(default=False, help_text="Keys that begin with gf_test_ never spend money.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    uses = models.PositiveBigIntegerField(default=0, editable=False, help_text="Requests; counted late by seconds.")
    allowed_models = models.JSONField(default=list, blank=True, help_text="Only these models; empty: the client's.")
    denied_models = models.JSONField(default=list, blank=True)
    jobs_per_minute = models.PositiveIntegerField(null=True, blank=True)
    reads_per_minute = models.PositiveIntegerField(null=True, blank=True)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    # The key that takes this one's place; this one goes on until `expires_at`, so that both work for a while.
    replaced_by = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replaces", editable=False
    )
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    @property
    def public_id(self) -> str:
        """Its name in the API: the beginning of the digest, which tells neither the key nor how many there are."""
        return f"key_{self.digest[:16]}"

    @property
    def state(self) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"


class ProviderKey(models.Model):
    """A client's own key at a provider, in core mode: sealed, never shown again, and used for its own jobs alone."""

    class State(models.TextChoices):
        UNCHECKED = "unchecked", "not checked yet"
        VALID = "valid"
        INVALID = "invalid", "refused by the provider"
        EXHAUSTED = "exhausted", "its account has no credit"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="provider_keys")
    provider = models.SlugField(max_length=40, help_text="The provider's slug, e.g. fal.")
    sealed = models.TextField(editable=False, help_text="Encrypted with ENCRYPTION_KEYS.")
    fingerprint = models.CharField(max_length=24, editable=False, help_text="A keyed digest, to tell accounts apart.")
    hint = models.CharField(max_length=4, editable=False, help_text="Its last characters, to tell keys apart.")
    state = models.CharField(max_length=10, choices=State, default=State.UNCHECKED, editable=False)
    detail = models.CharField(max_length=300, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = "own provider key"
        ordering = ["client", "provider"]
        constraints = [models.UniqueConstraint(fields=["client", "provider"], name="one_own_key_a_provider")]

    def __str__(self) -> str:
        return f"{self.provider} key …{self.hint} of {self.client}"


class ClientMail(models.Model):
    """A mail to a client about one event of the outbox: sent once, tried for a day."""

    event = models.OneToOneField(OutboxEvent, on_delete=models.CASCADE, related_name="mail")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Counted before each.")
    next_at = models.DateTimeField(null=True, default=timezone.now, help_text="Empty: sent, or given up.")
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=100, blank=True, help_text="What the last try ended with.")

    class Meta:
        indexes = [models.Index(fields=["next_at"], condition=models.Q(next_at__isnull=False), name="mail_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.client}"


class RateBucket(models.Model):
    """A token bucket as one number: when it would be full again, so that taking a token is one conditional UPDATE."""

    name = models.CharField(max_length=80, primary_key=True, help_text="e.g. key:12:jobs or client:3:reads.")
    full_at = models.BigIntegerField(default=0, help_text="µs since 1970 by the database's clock.")

    def __str__(self) -> str:
        return self.name
