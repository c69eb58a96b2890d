"""Budgets: how much a client may spend in a day, a month or at all, on everything or on a part of it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import ApiKey, Client

THRESHOLDS = [50, 80, 100]


def default_thresholds() -> list[int]:
    """Percent of the limit at which notices are sent."""
    return list(THRESHOLDS)


class Budget(models.Model):
    """A limit on what a client (one of its keys; one model or category) spends in a period, in nano-USD."""

    class Period(models.TextChoices):
        DAY = "day"
        MONTH = "month"
        TOTAL = "total"

    class Origin(models.TextChoices):
        OPERATOR = "operator", "set by us"
        CLIENT = "client", "set by the client"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="budgets")
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    model = models.ForeignKey(AIModel, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    category = models.CharField(max_length=80, blank=True)
    period = models.CharField(max_length=5, choices=Period)
    limit = models.BigIntegerField(help_text="nano-USD")
    is_hard = models.BooleanField(default=True, help_text="Requests over it are refused; else there are notices only.")
    thresholds = models.JSONField(default=default_thresholds, help_text="Percent at which notices are sent.")
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.OPERATOR)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["client__name", "period", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(limit__gte=0), name="budget_limit_not_negative"),
            models.CheckConstraint(condition=Q(model=None) | Q(category=""), name="budget_of_model_or_category"),
        ]

    def __str__(self) -> str:
        part = self.model or self.category or "everything"
        return f"{self.get_period_display()} budget of {self.client} for {part}" + (f", {self.key}" if self.key else "")


class BudgetPeriod(models.Model):
    """What of a budget is reserved and spent in one of its periods, which begin by the client's clock."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, help_text="Empty: never.")
    reserved = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    told = models.PositiveSmallIntegerField(default=0, help_text="The highest threshold that a notice was sent for.")

    class Meta:
        ordering = ["-starts_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="one_period_a_start"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="budget_reserved_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.budget} from {self.starts_at:%Y-%m-%d}"
