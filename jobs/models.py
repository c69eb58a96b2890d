"""Jobs and what happened to them. Amounts are nano-USD."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers.queue import Request
from genfeed.clients.models import ApiKey, Client
from jobs.batches import models as batches
from jobs.webhooks import models as webhooks
from jobs.workflows import models as workflows

Batch = batches.Batch
BatchRefusal = batches.BatchRefusal
WebhookDelivery = webhooks.WebhookDelivery
WebhookEndpoint = webhooks.WebhookEndpoint
WebhookMessage = webhooks.WebhookMessage
WebhookSecret = webhooks.WebhookSecret
WorkflowRun = workflows.WorkflowRun
WorkflowStep = workflows.WorkflowStep
WorkflowTemplate = workflows.WorkflowTemplate
WorkflowTemplateVersion = workflows.WorkflowTemplateVersion


class Status(models.TextChoices):
    """DESIGN section 8; `jobs.transitions` knows which follows which."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELED)
# Work of ours at the provider, or on its way there.
IN_FLIGHT = (Status.SUBMITTING, Status.SUBMITTED, Status.RUNNING, Status.CANCELING)
OPEN = (Status.QUEUED, *IN_FLIGHT)


class Job(models.Model):
    """One generation request of a client, from acceptance to its end. Changed only by `jobs.transitions`."""

    class Priority(models.TextChoices):
        NORMAL = "normal"
        LOW = "low"

    id = models.CharField(max_length=40, primary_key=True, help_text="job_ and a ULID: sorts by time.")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="jobs")
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="jobs")
    provider = models.CharField(max_length=40, help_text="The provider's slug.")
    endpoint_id = models.CharField(max_length=255)
    schema_version = models.IntegerField()
    upstream_version = models.CharField(max_length=80, blank=True)
    runs_as = models.CharField(max_length=255, blank=True, help_text="What the provider calls it; empty: endpoint_id.")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    # Counts changes: every change is conditional on the version it saw, and numbers its event by it.
    version = models.PositiveIntegerField(default=1)

    input = models.JSONField(help_text="As it is sent to the provider, but for what is sealed.")
    secret_fields = models.JSONField(default=list, blank=True, help_text="The fields of the input that are sealed.")
    input_digest = models.CharField(max_length=64, help_text="SHA-256 of the canonical input; finds lost requests.")
    features = models.JSONField(default=dict, help_text="The fields that matter for the price, defaults filled in.")
    quote = models.JSONField(help_text="Frozen: units, unit price, rule, margin terms (pricing.estimates.quotes).")
    terms = models.JSONField(help_text="Frozen: pricing.settling.frozen.")
    hold_amount = models.BigIntegerField()
    max_price = models.BigIntegerField(null=True)
    priority = models.CharField(max_length=6, choices=Priority, default=Priority.NORMAL)
    metadata = models.JSONField(default=dict)
    webhook_url = models.CharField(max_length=2000, blank=True)
    protocol = models.CharField(
        max_length=10, blank=True, help_text="By which it came, and its webhook goes; empty: our own."
    )
    may_cache = models.BooleanField(default=False)
    idempotency_key = models.CharField(max_length=255, blank=True)
    body_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the body that came with the key.")
    # Its constraint and index serve the key: most jobs are in no batch.
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="jobs", db_index=False)
    batch_index = models.PositiveSmallIntegerField(null=True, help_text="Its place in the batch, from 0.")
    workflow = models.ForeignKey(WorkflowRun, null=True, on_delete=models.PROTECT, related_name="jobs", db_index=False)
    token = models.CharField(
        max_length=64, help_text="In the address that the provider calls back; nobody else has it."
    )

    # Whose key it runs with (jobs.accepting.own_keys). All empty: the installation's.
    account = models.CharField(max_length=24, blank=True, help_text="The fingerprint of the key.")
    own_key = models.TextField(blank=True, help_text="The key, sealed; erased when the job ends.")
    key_source = models.CharField(max_length=7, blank=True, help_text="client: kept for it; request: came with it.")
    key_hint = models.CharField(max_length=4, blank=True, help_text="The key's last characters.")

    # Of jobs that name alternatives (jobs.fallback.attempts).
    fallback = models.JSONField(null=True, help_text="Which model was asked for, which may be tried, and why not.")
    has_spare = models.BooleanField(default=False, help_text="Whether an alternative is left to be tried.")

    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(
        null=True, help_text="Right before the submit was sent: from then on it may be there."
    )
    submitted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=10, blank=True, help_text="client, staff or deadline.")
    cancel_sent_at = models.DateTimeField(null=True, help_text="When the provider was asked to cancel.")
    deadline_seconds = models.PositiveIntegerField()
    deadline_at = models.DateTimeField(
        null=True, help_text="By when it must be done; time in the provider's queue apart."
    )
    # When the dispatcher looks at it next; claiming it moves this ahead, so a dead process frees its work by time.
    next_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Submits begun; counted before each.")
    looks = models.PositiveIntegerField(default=0, help_text="How often the provider was asked in vain; spaces polls.")

    request_id = models.CharField(max_length=80, blank=True, help_text="The provider's id.")
    urls = models.JSONField(default=dict)
    queue_position = models.PositiveIntegerField(null=True)
    log_mark = models.JSONField(default=list, help_text="Digests of the log lines that were told already.")

    output = models.JSONField(null=True)
    error = models.JSONField(null=True, help_text="code, message, hint.")
    charge = models.BigIntegerField(null=True)
    cost = models.BigIntegerField(null=True)
    cost_source = models.CharField(max_length=16, blank=True)
    billed_units = models.CharField(max_length=40, blank=True)
    quarantine = models.CharField(
        max_length=300, blank=True, help_text="Why its bill waits for a person; empty once decided."
    )
    is_cached = models.BooleanField(default=False)
    # Null rather than empty: databases use an index on what is not null for an equality, and few jobs have one.
    cache_digest = models.CharField(  # noqa: DJ001
        max_length=64, null=True, help_text="SHA-256 of client, model, schema version and input; who asked for it."
    )
    cached_from = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="Whose output it is."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["client", "id"]),
            models.Index(fields=["next_at"], condition=~Q(status__in=["succeeded", "failed", "canceled"]), name="due"),
            models.Index(
                fields=["client", "status"],
                condition=~Q(status__in=["succeeded", "failed", "canceled"]),
                name="open_jobs_of_client",
            ),
            models.Index(fields=["status", "id"]),
            models.Index(fields=["model", "id"]),
            models.Index(fields=["request_id"], condition=~Q(request_id=""), name="job_by_request"),
            models.Index(fields=["id"], condition=~Q(quarantine=""), name="quarantined_jobs"),
            models.Index(
                fields=["cache_digest", "finished_at"], condition=Q(cache_digest__isnull=False), name="cached_results"
            ),
            models.Index(fields=["batch", "status"], condition=Q(batch__isnull=False), name="jobs_of_batch"),
            models.Index(fields=["status", "id"], condition=Q(has_spare=True), name="jobs_with_spare"),
            models.Index(fields=["workflow", "status"], condition=Q(workflow__isnull=False), name="jobs_of_workflow"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "request_id"], condition=~Q(request_id=""), name="one_job_a_request"
            ),
            models.UniqueConstraint(
                fields=["batch", "batch_index"], condition=Q(batch__isnull=False), name="one_job_an_item"
            ),
        ]
        permissions = [
            ("view_job_input", "Can see inputs and outputs of jobs"),
            ("retry_job", "Can retry jobs"),
            ("cancel_job", "Can cancel jobs"),
            ("refund_job", "Can refund jobs"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def request(self) -> Request:
        """Its request at the provider."""
        return self.request_of(self.request_id, self.urls)

    def request_of(self, request_id: str, urls: dict[str, str] | None = None) -> Request:
        """A request for what this job runs, by its id at the provider."""
        return Request(self.called, request_id, urls or {})

    @property
    def called(self) -> str:
        """The provider's id of what is called, which for an own model is that of the model it is built on."""
        return self.runs_as or self.endpoint_id


class JobEvent(models.Model):
    """Something that happened to a job, numbered per job in the order it happened."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    at = models.DateTimeField(default=timezone.now)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["job", "number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="event_number_is_unique")]

    def __str__(self) -> str:
        return f"{self.job_id} {self.number} {self.kind}"


class ProviderAnswer(models.Model):
    """What a provider answered about a job, kept for staff."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="answers")
    at = models.DateTimeField(default=timezone.now)
    call = models.CharField(max_length=20)
    status = models.PositiveSmallIntegerField(help_text="HTTP; 0: no answer came.")
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)

    class Meta:
        ordering = ["job", "pk"]

    def __str__(self) -> str:
        return f"{self.call} {self.status}"


class ProviderGate(models.Model):
    """Whether work may go to a provider by one key: the circuit breaker that all processes share."""

    name = models.CharField(
        max_length=120, primary_key=True, help_text="Provider's slug; :fingerprint of the key where it is a client's."
    )
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    open_until = models.DateTimeField(null=True, help_text="No submit before then; afterwards one is tried.")
    reason = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class IdempotentAnswer(models.Model):
    """The answer that a POST with an Idempotency-Key got, for whoever sends it again within 24 hours."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField(default=0, help_text="0: still at work.")
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="one_answer_a_key")]

    def __str__(self) -> str:
        return f"{self.client_id} {self.key}"


class ProviderErasure(models.Model):
    """A request of an erased client that its provider is still to delete."""

    job = models.OneToOneField(Job, primary_key=True, on_delete=models.CASCADE, related_name="+")
    next_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return str(self.job_id)


# Django finds models by this module.
from jobs.assets.models import Asset as Asset  # noqa: E402
from jobs.assets.models import Handover as Handover  # noqa: E402
from jobs.protocols.models import BrowserTokenLimit as BrowserTokenLimit  # noqa: E402
