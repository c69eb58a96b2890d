"""The page of the catalog that comes from a cloud: whose key it is signed with, how old it is, and what went wrong."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from catalog import discovery, upstreams
from catalog.exchange.signing import fingerprint
from catalog.models import SyncRun
from catalog.providers import base
from genfeed.cloud import standing, taking
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.repinning import offered_key, repin
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.pages import ReadOnlyAdmin, posted_text
from pricing.models import CloudCatalog

_PAGE = "admin:pricing_cloudcatalog_changelist"


@admin.register(CloudCatalog)
class CloudCatalogAdmin(ReadOnlyAdmin):
    def has_module_permission(self, request: HttpRequest) -> bool:
        used = standing.is_used() or settings.GENFEED_MODE == "core"
        return used and self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("catalog.view_provider")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.page), name="pricing_cloudcatalog_changelist"),
            path("sync/", view(require_POST(self.sync)), name="cloud_sync"),
            path("key/", view(require_POST(self.key)), name="cloud_key"),
            # Where the audit and searches lead to.
            path("<path:object_id>/change/", view(self.page), name="pricing_cloudcatalog_change"),
        ]

    def page(self, request: HttpRequest, object_id: str = "") -> HttpResponse:
        """What is known of the catalog from the cloud, of which there is one."""
        return self._page(request)

    def sync(self, request: HttpRequest) -> HttpResponse:
        """Has the worker ask the cloud for what is new, or joins the sync that is open."""
        self._require(request, "catalog.sync_provider")
        if not standing.is_used():
            self.message_user(request, "The catalog does not come from a cloud: CLOUD_URL is not set.", messages.ERROR)
            return HttpResponseRedirect(reverse(_PAGE))
        actor, full = Actor.of(request.user), "full" in request.POST
        run, is_new = discovery.request_sync(base.usual(), trigger="admin", requested_by=actor.name, full=full)
        if is_new:
            record("sync.requested", [Change(run, after={"full": run.full})], actor=actor)
        words = "The worker asks the cloud." if is_new else "A sync is already open."
        self.message_user(request, f"{words} Load this page again to see what came of it.", messages.SUCCESS)
        return HttpResponseRedirect(reverse(_PAGE))

    def key(self, request: HttpRequest) -> HttpResponse:
        """Asks the cloud for the key that it signs with; pins it once its fingerprint was typed."""
        self._require(request, "pricing.change_cloudcatalog")
        offered = posted_text(request, "offered")
        try:
            if not offered:
                return self._page(request, offered=offered_key())
            actor = Actor.of(request.user)
            repin(offered, posted_text(request, "fingerprint"), actor=actor, reason=posted_text(request))
        except CloudError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse(_PAGE))
        self.message_user(request, "The key is pinned. The next sync takes the whole catalog.", messages.SUCCESS)
        return HttpResponseRedirect(reverse(_PAGE))

    def _page(self, request: HttpRequest, *, offered: str = "") -> HttpResponse:
        self._require(request, "catalog.view_provider")
        state = taking.had()
        context = {
            "title": "Catalog from the cloud",
            "state": state,
            "source": settings.CATALOG_SOURCE,
            "url": settings.CLOUD_URL,
            "has_key": bool(settings.CLOUD_API_KEY),
            "is_configured_key": bool(settings.CLOUD_PUBLIC_KEY),
            "pinned": fingerprint(state.public_key) if state else "",
            "offered": offered,
            "offered_fingerprint": fingerprint(offered) if offered else "",
            "is_same": bool(state and state.public_key == offered),
            "standing": next((one for one in upstreams.standings() if one.name == standing.NAME), None),
            "trouble": standing.trouble(),
            "runs": SyncRun.objects.filter(source=settings.CLOUD_URL).select_related("provider").defer("report")[:10]
            if settings.CLOUD_URL
            else [],
            "may_sync": standing.is_used() and request.user.has_perm("catalog.sync_provider"),
            "may_pin": bool(settings.CLOUD_URL) and request.user.has_perm("pricing.change_cloudcatalog"),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/cloudcatalog/page.html", context)

    @staticmethod
    def _require(request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied
