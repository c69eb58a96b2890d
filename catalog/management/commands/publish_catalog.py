"""`manage.py publish_catalog`: rebuild what follows from the stored schemas, and publish it."""

from typing import Any

from django.core.management.base import BaseCommand

from catalog.rebuilding import rebuild_and_publish


class Command(BaseCommand):
    help = (
        "Reads every stored schema again with the present code, brings media types, capabilities, limits and "
        "availability up to date, and publishes a new catalog revision. Asks no provider. Use it after an upgrade."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        result = rebuild_and_publish(reason="published by hand")
        self.stdout.write(
            f"Catalog revision {result.revision}: {result.models} models, {result.changed} changed, "
            f"{result.enabled} enabled."
        )
