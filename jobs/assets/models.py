"""A stored file, or one that is going to be."""

from collections.abc import Sequence

from django.db import models
from django.db.models import Q
from django.utils import timezone

from genfeed.clients.models import Client


class Asset(models.Model):
    """An output of a job, or a file that a client brought. What it is was read from the file itself once stored."""

    class Origin(models.TextChoices):
        OUTPUT = "output"
        UPLOAD = "upload"

    class State(models.TextChoices):
        PARTIAL = "partial"
        PENDING = "pending"
        STORED = "stored"
        FAILED = "failed"
        REFUSED = "refused"
        EXPIRED = "expired"

    id = models.CharField(max_length=40, primary_key=True, help_text="ast_ and a ULID: sorts by time.")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="assets")
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.CASCADE, related_name="assets")
    origin = models.CharField(max_length=6, choices=Origin, default=Origin.OUTPUT)
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    problem = models.CharField(max_length=300, blank=True, help_text="Why it is not stored, in words for the client.")
    kind = models.CharField(max_length=8, help_text="image, video, audio, 3d, archive, text or other.")
    promised = models.CharField(max_length=8, blank=True, help_text="The kind that the model's schema promises.")
    name = models.CharField(max_length=120)
    # Lists of keys and indices: where its address stands in the job's output, more than one where it stands twice.
    places = models.JSONField(default=list)
    source_url = models.TextField(blank=True, help_text="The provider's; empty for data URIs and uploads.")
    content_type = models.CharField(max_length=80, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes.")
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    seconds = models.FloatField(null=True)
    frames = models.PositiveBigIntegerField(null=True)
    fps = models.FloatField(null=True, help_text="Frames a second.")
    sha256 = models.CharField(max_length=64, blank=True)
    is_nsfw = models.BooleanField(default=False, verbose_name="NSFW", help_text="Flagged so by the model.")
    scan_result = models.CharField(max_length=120, blank=True, help_text="Empty: no scanner has seen it.")
    storage_name = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Downloads begun; counted before each.")
    # When it is fetched next; claiming moves this ahead, so that a dead process frees its work by time.
    next_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    stored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="pending"), name="asset_to_fetch"),
            models.Index(fields=["origin", "created_at"], condition=~Q(storage_name=""), name="asset_to_expire"),
            models.Index(fields=["client", "id"]),
        ]
        permissions = [
            ("refetch_asset", "Can have files fetched again"),
            ("expire_asset", "Can delete files before their time"),
        ]

    # Read with a claim, for the thread that joins them: the names of the parts that a file came in, and its bytes.
    parts: Sequence[str] = ()
    announced: int | None = None
    # The SHA-256 that its sender told.
    told_sha256 = ""

    def __str__(self) -> str:
        return self.id


class Handover(models.Model):
    """A job whose files are brought to its provider; the job is not sent before."""

    job = models.OneToOneField("jobs.Job", primary_key=True, on_delete=models.CASCADE, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now, db_index=True)

    # Read with a claim, for the thread that sends them.
    files: list[Asset] = []

    def __str__(self) -> str:
        return str(self.job_id)


class PartialUpload(models.Model):
    """A file that comes in pieces, over as many connections as it takes; gone once the file is stored or given up."""

    asset = models.OneToOneField(Asset, primary_key=True, on_delete=models.CASCADE, related_name="partial")
    length = models.BigIntegerField(help_text="Bytes, as announced.")
    # Moves with each part, by compare-and-set: of two senders one wins.
    offset = models.BigIntegerField(default=0, help_text="Bytes that are here.")
    metadata = models.CharField(max_length=2000, blank=True, help_text="As sent, in the form of the protocol.")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.asset_id)


class UploadPart(models.Model):
    """Some bytes of a partial upload, in the storage."""

    upload = models.ForeignKey(PartialUpload, on_delete=models.CASCADE, related_name="parts")
    offset = models.BigIntegerField()
    storage_name = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="one_part_at_an_offset")]

    def __str__(self) -> str:
        return self.storage_name
