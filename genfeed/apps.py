from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig


class GenFeedConfig(AppConfig):
    """The project itself as an app: its commands and system checks."""

    name = "genfeed"

    def ready(self) -> None:
        from genfeed import checks, inherited  # noqa: F401 - checks register themselves
        from genfeed.cloud import standing

        standing.register()
        inherited.register()
        if apps.is_installed("django.contrib.admin"):
            from genfeed.cloud import admin  # noqa: F401


class GenFeedAdminConfig(AdminConfig):
    """Django's admin with GenFeed's own start page and short addresses (`/admin/models`, `/admin/providers`)."""

    default_site = "genfeed.admin_site.GenFeedAdminSite"
