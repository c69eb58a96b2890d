"""Sums of usage for reports, at several grains. Everything here can be rebuilt from usage records and ledger."""

from django.db import models

from catalog.models import AIModel
from genfeed.clients.models import Client

# A latency of s seconds falls into the first bucket whose bound is not below it; the last one has none. Bounds that
# never change make histograms of days add up to histograms of months.
BOUNDS = tuple(0.1 * 1.6**number for number in range(23))
BUCKETS = tuple(f"h{number:02}" for number in range(len(BOUNDS) + 1))
AMOUNTS = (
    "jobs", "succeeded", "failed", "canceled", "cached", "revenue", "cost", "refunds", "write_offs", "loss",
    "quoted_jobs", "quoted_cost", "quoted_bill", "quoted_off", "timed", "milliseconds",
)  # fmt: skip
# Every column that sums up.
SUMS = (*AMOUNTS, *BUCKETS)


class Rollup(models.Model):
    """Jobs that ended in a period that begins with the day `start` (UTC), with what later changed their money.

    Amounts are nano-USD. `quoted_*` are of the jobs whose estimate can be held against a bill: how many, estimated,
    billed, and the sum of the deviations. `h00` and on count latencies.
    """

    start = models.DateField()
    jobs = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    cached = models.PositiveIntegerField(default=0)
    revenue = models.BigIntegerField(default=0, help_text="Charges with corrections, after refunds.")
    cost = models.BigIntegerField(default=0, help_text="What the provider is owed, with corrections and write-offs.")
    refunds = models.BigIntegerField(default=0)
    write_offs = models.BigIntegerField(default=0)
    loss = models.BigIntegerField(default=0, help_text="The part of the cost that a cap kept from being charged.")
    quoted_jobs = models.PositiveIntegerField(default=0)
    quoted_cost = models.BigIntegerField(default=0)
    quoted_bill = models.BigIntegerField(default=0)
    quoted_off = models.BigIntegerField(default=0)
    timed = models.PositiveIntegerField(default=0)
    milliseconds = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.start}: {self.jobs} jobs"


# Columns rather than JSON, so that the database adds them up.
for _name in BUCKETS:
    Rollup.add_to_class(_name, models.PositiveIntegerField(default=0))


class ModelDay(Rollup):
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="+")
    units = models.JSONField(default=dict, help_text="Billed units by unit, exact decimals.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["start", "model"], name="one_rollup_a_day_and_model")]


class ModelMonth(Rollup):
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="+")
    units = models.JSONField(default=dict, help_text="Billed units by unit, exact decimals.")
    # Where it differs from the model's, the month's days are made anew.
    category = models.CharField(max_length=80, blank=True, help_text="What its jobs were counted under.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["start", "model"], name="one_rollup_a_month_and_model")]


class ClientRollup(Rollup):
    # Without a client: jobs that staff ran at the operator's cost.
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="+")
    provider = models.CharField(max_length=50, default="")

    class Meta:
        abstract = True


class ClientDay(ClientRollup):
    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["start", "client", "provider"], name="one_rollup_a_day_and_client")
        ]


class ClientMonth(ClientRollup):
    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["start", "client", "provider"], name="one_rollup_a_month_and_client")
        ]


class ClientCategoryDay(ClientRollup):
    category = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start", "category", "provider", "client"], name="one_rollup_a_day_client_category"
            )
        ]
        indexes = [models.Index(fields=["client", "start"])]


class ClientCategoryMonth(ClientRollup):
    category = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start", "category", "provider", "client"], name="one_rollup_a_month_client_category"
            )
        ]
        indexes = [models.Index(fields=["client", "start"])]


class PairMonth(Rollup):
    """A model's jobs for a client, of months that are over: by day there would be as many rows as jobs."""

    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="+")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["start", "model", "client"], name="one_rollup_a_month_and_pair")]
        indexes = [models.Index(fields=["client", "start"])]


class Count(models.Model):
    """How many jobs of a day or month failed with an error, or used a feature (`resolution=1080p`)."""

    class Kind(models.TextChoices):
        ERROR = "error"
        FEATURE = "feature"

    start = models.DateField()
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=100)
    jobs = models.PositiveIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.start}: {self.jobs} × {self.name}"


class CountDay(Count):
    provider = models.CharField(max_length=50)
    category = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start", "kind", "provider", "category", "name"], name="one_count_a_day_and_name"
            )
        ]


class CountMonth(Count):
    provider = models.CharField(max_length=50)
    category = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start", "kind", "provider", "category", "name"], name="one_count_a_month_and_name"
            )
        ]


class ModelCountMonth(Count):
    """Of months that are over, like PairMonth."""

    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "start", "kind", "name"], name="one_count_a_month_and_model")
        ]


class ClientCountMonth(Count):
    """Of months that are over, like PairMonth."""

    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="+")
    provider = models.CharField(max_length=50)
    category = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client", "start", "kind", "provider", "category", "name"], name="one_count_a_month_and_client"
            )
        ]


class RollupState(models.Model):
    """The one row that says how far usage and ledger have been read. Its lock puts runs in order."""

    usage_id = models.BigIntegerField(default=0, help_text="The highest usage record that was read.")
    ledger_id = models.BigIntegerField(default=0, help_text="The highest ledger row that was read.")
    read_until = models.DateTimeField(null=True)
    crossed_until = models.DateField(null=True, help_text="Months before it have their pairs of model and client.")

    def __str__(self) -> str:
        return f"rolled up until {self.read_until}"
