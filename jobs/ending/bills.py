"""What a provider's bill means for the job that it is of, once it counts or a person has decided about it."""

from __future__ import annotations

from jobs.calibrating import observe_bill
from jobs.ending.quarantine import end_wait


def bill_counts(job_id: str) -> None:
    """Ends the wait of a settlement that could not be right, and tells a calibration what its run was billed."""
    end_wait(job_id)
    observe_bill(job_id)
