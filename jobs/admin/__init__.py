"""Jobs in Django admin."""

from jobs.admin.jobs import JobAdmin

__all__ = ["JobAdmin"]
