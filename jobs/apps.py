from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        # The proof of the ledger asks which jobs have no known outcome, without knowing jobs.
        from jobs.assets.references import look_up
        from jobs.ending.bills import bill_counts
        from jobs.models import OPEN, Job
        from pricing.estimates import own_files
        from pricing.ledger import checking
        from pricing.reconciling import telling

        checking.open_jobs = lambda: set(Job.objects.filter(status__in=OPEN).values_list("pk", flat=True))
        # Estimates know the files that clients brought.
        own_files.look_up = look_up
        # A bill that counts, or that a person has decided about, ends the wait of its job.
        telling.bill_counts = bill_counts
