"""Customers of the API and their keys."""

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

SCOPES = {
    "models:read": "List and read the models of the catalog.",
    "estimates": "Ask what requests and workflows cost, and which model fits.",
    "admin": "Everything that staff may do over the API: see held models and costs, switch models, start syncs.",
}


class Client(models.Model):
    """A customer of the API (an organisation)."""

    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True, help_text="Keys of an inactive client are refused.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="client_name_is_unique")]

    def __str__(self) -> str:
        return self.name


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

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    @property
    def state(self) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"
