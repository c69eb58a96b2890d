"""Jobs in Django admin."""

from jobs.admin.jobs import JobAdmin
from jobs.webhooks.admin import WebhookDeliveryAdmin, WebhookEndpointAdmin

__all__ = ["JobAdmin", "WebhookDeliveryAdmin", "WebhookEndpointAdmin"]
