"""What reports recommend, what became of it, and the policy that acts by itself."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import Client


class Refusal(models.Model):
    """How often a day (UTC) clients were refused a model, or a client was throttled. Written late by seconds."""

    class Kind(models.TextChoices):
        MODEL = "model", "a model that is not offered"
        CLIENT = "client", "a client beyond its limits"

    day = models.DateField()
    kind = models.CharField(max_length=6, choices=Kind)
    key = models.BigIntegerField(help_text="The model's or the client's primary key.")
    # No foreign keys: counts are written for keys that may be gone by then.
    client_key = models.BigIntegerField(default=0, help_text="Of a model: the client that asked; 0: staff, or unknown.")
    code = models.CharField(max_length=40, help_text="The error's code.")
    times = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-day", "-times", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key", "client_key", "code", "day"], name="one_refusal_a_day_and_code"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.times} × {self.code} for {self.kind} {self.key}"


class Recommendation(models.Model):
    """One thing that figures recommend, with the reason in numbers. Open until a person or the policy decides."""

    class Kind(models.TextChoices):
        DISABLE_LOSING = "disable_losing", "switch off: it loses money"
        DISABLE_FAILING = "disable_failing", "switch off: it fails too often"
        ENABLE = "enable", "switch on: clients ask for it"
        ENABLE_AGAIN = "enable_again", "switch on again: its price changed"
        REPRICE = "reprice", "reprice: its margin fell"
        CHEAPER = "cheaper", "use a cheaper equivalent"
        RETIRE = "retire", "switch off what nobody uses"
        RAISE_LIMIT = "raise_limit", "raise the limit of a paying client"

    class State(models.TextChoices):
        OPEN = "open"
        APPLIED = "applied"
        DISMISSED = "dismissed"
        UNDONE = "undone", "applied, then undone"
        GONE = "gone", "its reason is gone"

    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    model = models.ForeignKey(AIModel, null=True, on_delete=models.CASCADE, related_name="recommendations")
    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="recommendations")
    subject = models.CharField(max_length=60, help_text="model:12 or client:3, or what it is about.")
    title = models.CharField(max_length=300)
    why = models.CharField(max_length=600)
    effect = models.CharField(max_length=400, help_text="What it would have changed in the last 30 days.")
    effect_amount = models.BigIntegerField(default=0, help_text="nano-USD of margin in 30 days.")
    does = models.JSONField(default=dict, help_text="What applying it does.")
    undoes = models.JSONField(default=dict, help_text="What takes it back, once it is applied.")
    blocked = models.CharField(max_length=300, blank=True, help_text="Why it can't be applied here and now.")
    created_at = models.DateTimeField(default=timezone.now)
    computed_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    by_policy = models.BooleanField(default=False)

    class Meta:
        ordering = ["-effect_amount", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(state="open"), name="one_open_recommendation_a_subject"
            )
        ]

    def __str__(self) -> str:
        return self.title


class EnablementPolicy(models.Model):
    """The one row that says what may be switched by profitability without a person; off as shipped."""

    is_on = models.BooleanField("act by itself", default=False, help_text="Once a day, after recommendations are made.")
    disables_losing = models.BooleanField("switch off what loses money", default=True)
    disables_failing = models.BooleanField("switch off what fails too often", default=True)
    enables_again = models.BooleanField(
        "switch on again what it switched off for a loss, once its price has changed", default=True
    )
    most_a_day = models.PositiveSmallIntegerField("at most so many models a day", default=5)

    class Meta:
        permissions = [("run_policy", "Can let models be switched by profitability without a person")]

    def __str__(self) -> str:
        return f"enablement by profitability: {'on' if self.is_on else 'off'}"
