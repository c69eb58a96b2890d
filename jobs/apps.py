from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        # The proof of the ledger asks which jobs have no known outcome, without knowing jobs.
        from jobs.models import OPEN, Job
        from pricing.ledger import checking

        checking.open_jobs = lambda: set(Job.objects.filter(status__in=OPEN).values_list("pk", flat=True))
