"""Jobs in Django admin."""

from jobs.admin.batches import BatchAdmin
from jobs.admin.jobs import JobAdmin
from jobs.assets.admin import AssetAdmin
from jobs.webhooks.admin import WebhookDeliveryAdmin, WebhookEndpointAdmin
from jobs.workflows.admin import WorkflowRunAdmin

__all__ = ["AssetAdmin", "BatchAdmin", "JobAdmin", "WebhookDeliveryAdmin", "WebhookEndpointAdmin", "WorkflowRunAdmin"]
