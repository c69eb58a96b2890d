"""Providers with their Sync now button, and the syncs with their reports."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import discovery, sync_runs
from catalog.availability import HELD_WORDS
from catalog.configuration import configuration_of
from catalog.freshness import provider_state
from catalog.models import Provider, SyncRun
from catalog.newcomers import validate_new_models
from catalog.providers import base
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.pages import ReadOnlyAdmin, badge


@admin.register(Provider)
class ProviderAdmin(ReadOnlyAdmin):
    list_display = ["name", "slug", "key_state", "newest_sync"]
    change_form_template = "admin/catalog/provider/page.html"

    @admin.display(description="newest sync")
    def newest_sync(self, row: Provider) -> str:
        run = row.sync_runs.defer("report").first()
        return f"{run.status}, {run.requested_at:%Y-%m-%d %H:%M} UTC" if run else "never"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/sync/", view(require_POST(self.sync)), name="catalog_provider_sync"),
            path("<int:pk>/progress/", view(self.progress), name="catalog_provider_progress"),
            path("<int:pk>/caching/", view(require_POST(self.switch_caching)), name="catalog_provider_caching"),
            path("<int:pk>/check-key/", view(require_POST(self.check_key)), name="catalog_provider_check_key"),
        ]
        return own + super().get_urls()

    def sync(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks the worker for a sync, or joins the one that is open."""
        self._require(request, "catalog.sync_provider")
        provider = _registered_or_404(pk)
        actor = Actor.of(request.user)
        run, is_new = discovery.request_sync(
            provider.slug, trigger="admin", requested_by=actor.name, full="full" in request.POST
        )
        if is_new:
            record("sync.requested", [Change(run, after={"full": run.full})], actor=actor)
        else:
            self.message_user(request, "A sync is already open; this is its progress.", messages.INFO)
        return HttpResponseRedirect(reverse("admin:catalog_provider_change", args=[pk]))

    def progress(self, request: HttpRequest, pk: int) -> JsonResponse:
        """The newest run, for the page that waits for it."""
        self._require(request, "catalog.view_provider")
        provider = get_object_or_404(Provider, pk=pk)
        sync_runs.close_dead_run(provider)
        run = SyncRun.objects.filter(provider=provider).defer("report").first()
        if run is None:
            return JsonResponse({"open": False})
        waiting = run.status == SyncRun.Status.QUEUED and (timezone.now() - run.requested_at).total_seconds() > 15
        return JsonResponse(
            {
                "open": run.is_open,
                "status": run.status,
                "phase": "no worker has taken it yet; is the worker process running?" if waiting else run.phase,
                "done": run.done,
                "total": run.total,
            }
        )

    def switch_caching(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Lets stored results of the provider's models be used again, or not."""
        self._require(request, "catalog.switch_aimodel")
        provider = get_object_or_404(Provider, pk=pk)
        enabled = request.POST.get("enable_caching") == "on"
        with transaction.atomic():
            if Provider.objects.filter(pk=pk, enable_caching=not enabled).update(enable_caching=enabled):
                change = Change(provider, before={"enable_caching": not enabled}, after={"enable_caching": enabled})
                record("provider.caching_switched", [change], actor=Actor.of(request.user))
        return HttpResponseRedirect(reverse("admin:catalog_provider_change", args=[pk]))

    def check_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks the provider whether it accepts the configured key, and remembers the answer."""
        self._require(request, "catalog.sync_provider")
        provider = _registered_or_404(pk)
        interface = base.open_provider(provider.slug)
        checked = interface.check_key()
        interface.close()
        Provider.objects.filter(pk=pk).update(
            key_state=checked.state, key_detail=checked.detail[:300], key_checked_at=timezone.now()
        )
        record(
            "provider.key_checked", [Change(provider, after={"key_state": checked.state})], actor=Actor.of(request.user)
        )
        return HttpResponseRedirect(reverse("admin:catalog_provider_change", args=[pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self._require(request, "catalog.view_provider")
        provider = self.get_object(request, object_id or "")
        if provider is None:
            raise Http404
        sync_runs.close_dead_run(provider)
        context = {
            "title": provider.name,
            "state": provider_state(provider),
            "configuration": configuration_of(provider.slug),
            "runs": SyncRun.objects.filter(provider=provider).defer("report")[:10],
            "may_switch": request.user.has_perm("catalog.switch_aimodel"),
            "may_sync": base.is_registered(provider.slug) and request.user.has_perm("catalog.sync_provider"),
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def _require(self, request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied


def _registered_or_404(pk: int) -> Provider:
    provider = get_object_or_404(Provider, pk=pk)
    if not base.is_registered(provider.slug):
        raise Http404(f"This installation no longer knows the provider {provider.slug}.")
    return provider


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = (
        "requested_at", "provider", "state", "trigger", "requested_by", "took",
        "listed", "added", "changed", "retired", "failed",
    )  # fmt: skip
    list_filter = ["provider", "status", "trigger"]
    list_select_related = ["provider"]
    list_per_page = 50
    change_form_template = "admin/catalog/syncrun/page.html"

    @admin.display(description="status", ordering="status")
    def state(self, run: SyncRun) -> SafeString:
        return badge(run.status, {"succeeded": "good", "failed": "bad"}.get(run.status, "warn"))

    @admin.display(description="took")
    def took(self, run: SyncRun) -> str:
        return "" if run.seconds is None else f"{run.seconds:.1f} s"

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id or "")
        if run is None:
            raise Http404
        held = [(HELD_WORDS.get(reason, reason), ids) for reason, ids in run.report.get("held", {}).items()]
        context = {
            "title": str(run),
            "run": run,
            "report": run.report,
            "held": held,
            "new": validate_new_models(run),
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)
