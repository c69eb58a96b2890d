from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # Providers register themselves by being imported.
        from catalog.providers import fal, fal_queue, replicate, replicate_queue  # noqa: F401
