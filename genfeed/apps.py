from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class GenFeedConfig(AppConfig):
    """The project itself as an app: its commands and system checks."""

    name = "genfeed"

    def ready(self) -> None:
        from genfeed import checks, heaps, worker_memory  # noqa: F401 - checks register themselves
        from genfeed.cloud import standing

        heaps.share()
        standing.register()
        worker_memory.register()


class GenFeedAdminConfig(SimpleAdminConfig):
    """Django's admin with GenFeed's own start page and short addresses (`/admin/models`, `/admin/providers`).

    Its pages are loaded with their addresses (`genfeed.admin_urls`), by whoever shows them or leads to them.
    """

    default_site = "genfeed.admin_site.GenFeedAdminSite"

    def ready(self) -> None:
        super().ready()
        from django.contrib import admin

        # Made now, for the first who asks for anything of it: Django's checks look at the sites that exist.
        _ = admin.site.name
