"""`manage.py reseal`: before an old encryption key is given up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.resealing import reseal


class Command(BaseCommand):
    help = (
        "Seals every secret that is kept (of webhooks, and clients' own provider keys) with the first of "
        "ENCRYPTION_KEYS. Run it after a new key was put before the old one and all processes were restarted; once the "
        "jobs that were open then have ended, the old key can be removed. Running it again changes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = reseal()
        self.stdout.write(f"{done.done} secrets were sealed with the first of ENCRYPTION_KEYS.")
        if done.under_way:
            self.stdout.write(
                f"{done.under_way} jobs are open, and may carry what the key before has sealed: keep it until they end."
            )
        if done.unreadable:
            raise CommandError(
                f"{len(done.unreadable)} can't be read by any of the keys, the first is {done.unreadable[0]}: put the "
                "key that sealed them back behind the others, or have their owners set them anew."
            )
