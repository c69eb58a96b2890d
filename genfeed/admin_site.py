"""The admin: Django's own, with a start page that says how the catalog is, and short addresses."""

from http import HTTPStatus
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.checks import CheckMessage
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse

from genfeed.admin_audit import AuditedAdmin, audited_action
from genfeed.admin_schedules import TasksOfOurs
from genfeed.journal.audit import Actor, Change, record


class GenFeedAdminSite(admin.AdminSite):
    site_title = "GenFeed"
    site_header = "GenFeed"
    index_title = "Overview"
    # "View site" leads to what a visitor can use; the root itself leads back to the admin.
    site_url = "/playground"
    index_template = "admin/overview.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Registers with the audit mixed in, so that no admin class can forget it."""
        base = admin_class or admin.ModelAdmin
        # Our own actions are named and audit themselves; functions are those of packages.
        actions = getattr(base, "actions", None) or ()
        if any(callable(action) for action in actions):
            options["actions"] = [audited_action(action) if callable(action) else action for action in actions]
        if not issubclass(base, AuditedAdmin):
            mixed = (AuditedAdmin, TasksOfOurs) if _is_schedule(model_or_iterable) else (AuditedAdmin,)
            base = type(base.__name__, (*mixed, base), {"__module__": base.__module__})
        super().register(model_or_iterable, base, **options)

    def check(self, app_configs: Any) -> list[CheckMessage]:
        """Of all pages: `manage.py check` may come here before the addresses, which load them."""
        import_module(settings.ROOT_URLCONF)
        return super().check(app_configs)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        short = [
            path("models", self.admin_view(self._to_models), name="short_models"),
            path("providers", self.admin_view(self._to_providers), name="short_providers"),
            path("sync", self.admin_view(self._to_providers), name="short_sync"),
        ]
        # Written with a slash at the end too, as everything else in the admin is.
        slashed = [path(f"{entry.pattern}/", entry.callback) for entry in short]
        # Not of one model alone, so no admin class has it.
        from jobs.admin.calibrations import run_calibration
        from jobs.admin.own_models import own_model_of_job
        from jobs.admin.queue import live_part, queue_page, reopen_gate
        from pricing.admin.own_models import act, add_page, change_page

        own_models = [
            path("catalog/aimodel/own/add/", self.admin_view(add_page), name="own_model_add"),
            path("catalog/aimodel/own/<int:pk>/", self.admin_view(change_page), name="own_model_change"),
            path("catalog/aimodel/own/<int:pk>/act/", self.admin_view(act), name="own_model_act"),
            path("jobs/job/<str:pk>/own-model/", self.admin_view(own_model_of_job), name="own_model_of_job"),
        ]
        queue = [
            path("jobs/queue/", self.admin_view(queue_page), name="jobs_queue"),
            path("jobs/queue/live/", self.admin_view(live_part), name="jobs_queue_live"),
            path("jobs/queue/reopen/", self.admin_view(reopen_gate), name="jobs_queue_reopen"),
            path("jobs/calibrations/<int:pk>/run/", self.admin_view(run_calibration), name="jobs_calibration_run"),
        ]
        return short + slashed + own_models + queue + super().get_urls()

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # Its form imports the users, who are not there yet when this module is imported.
        from genfeed.admin_logins import LimitedLoginForm, log_in

        self.login_form = LimitedLoginForm
        return log_in(request, lambda: super(GenFeedAdminSite, self).login(request, extra_context))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            actor = Actor.of(request.user)
            if actor.user and request.method == "POST" and response.status_code == HTTPStatus.FOUND:
                record("user.password_changed", [Change(actor.user)], actor=actor)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The apps in the order of a day's work, not of the alphabet."""
        order = ["catalog", "pricing", "jobs", "clients", "journal", "auth", "django_q"]
        apps = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda app: order.index(app["app_label"]) if app["app_label"] in order else len(order))

    def _to_models(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:catalog_aimodel_changelist"))

    def _to_providers(self, _request: HttpRequest) -> HttpResponse:
        """Straight to the provider while there is one; the list as soon as there are several."""
        from catalog.sync_runs import ensure_providers

        providers = list(ensure_providers().values())
        if len(providers) == 1:
            return HttpResponseRedirect(reverse("admin:catalog_provider_change", args=[providers[0].pk]))
        return HttpResponseRedirect(reverse("admin:catalog_provider_changelist"))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        own = {"sandbox_active": settings.SANDBOX_ACTIVE, "mode": settings.GENFEED_MODE}
        return super().each_context(request) | own

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from genfeed.overview import overview

        return super().index(request, overview() | (extra_context or {}))


def _is_schedule(model: Any) -> bool:
    meta = getattr(model, "_meta", None)
    return meta is not None and meta.label == "django_q.Schedule"
