"""How price follows from cost, and what models sold for."""

from django.db import models
from django.utils import timezone

from catalog.models import AIModel, Provider
from genfeed.clients.models import Client


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
