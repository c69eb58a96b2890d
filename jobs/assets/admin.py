"""Files in Django admin: looked at, fetched again, deleted."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge
from jobs.assets import managing
from jobs.assets.links import signed_url
from jobs.assets.models import Asset

_LOOKS = {"stored": "good", "failed": "bad", "refused": "bad", "pending": "warn", "partial": "warn"}


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = [
        "id", "shown_state", "client", "shown_job", "kind", "content_type", "shown_size", "dimensions", "is_nsfw",
        "created_at",
    ]  # fmt: skip
    list_filter = ["state", "kind", "origin", "is_nsfw"]
    list_select_related = ["client"]
    search_fields = ["=id", "=job__id", "name", "client__name", "=sha256"]
    search_help_text = "A file or job id, a SHA-256, or words in name or client."
    show_full_result_count = False
    fields = [
        "id", "client", "shown_job", "origin", "name", "kind", "content_type", "shown_size", "dimensions", "seconds",
        "fps", "sha256", "is_nsfw", "shown_state", "scan_result", "attempts", "next_at", "created_at", "stored_at",
        "preview",
    ]  # fmt: skip
    readonly_fields = ["shown_job", "shown_size", "dimensions", "shown_state", "preview"]
    actions = ["fetch_again", "delete_now"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What clients send and get is theirs: the content itself only for those who may see it."""
        fields = list(super().get_fields(request, obj))
        return fields if request.user.has_perm("jobs.view_job_input") else [one for one in fields if one != "preview"]

    def has_refetch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.refetch_asset")

    def has_expire_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.expire_asset")

    @admin.display(description="job", ordering="job_id")
    def shown_job(self, asset: Asset) -> SafeString | str:
        if asset.job_id is None:
            return "uploaded"
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[asset.job_id]), asset.job_id)

    @admin.display(description="size", ordering="size")
    def shown_size(self, asset: Asset) -> str:
        return "" if asset.size is None else filesizeformat(asset.size)

    @admin.display(description="dimensions")
    def dimensions(self, asset: Asset) -> str:
        size = f"{asset.width} × {asset.height}" if asset.width else ""
        return ", ".join(filter(None, (size, f"{asset.seconds:.2f} s" if asset.seconds else "")))

    @admin.display(description="state", ordering="state")
    def shown_state(self, asset: Asset) -> SafeString:
        return badge(asset.state, _LOOKS.get(asset.state, ""), asset.problem)

    @admin.display(description="preview")
    def preview(self, asset: Asset) -> SafeString | str:
        """The file itself; a flagged one only behind a link, and never as a page."""
        if asset.state != Asset.State.STORED:
            return asset.problem or "It is not here."
        url = signed_url(asset.pk, asset.name, base_url="")
        if asset.is_nsfw or asset.kind not in ("image", "video", "audio"):
            return format_html('<a href="{}" rel="noopener" target="_blank">{}</a>', url, asset.name)
        if asset.kind == "image":
            return format_html('<img src="{}" alt="" width="320" loading="lazy">', url)
        tag = "video" if asset.kind == "video" else "audio"
        return format_html('<{} src="{}" controls preload="metadata" width="320"></{}>', tag, url, tag)

    @admin.action(description="Fetch selected files again", permissions=["refetch"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        actor = Actor.of(request.user)
        done = [managing.fetch_again(asset, actor=actor) for asset in queryset]
        self._tell(request, done, "will be fetched again", "have nothing to fetch, or are here")

    @admin.action(description="Delete selected files now", permissions=["expire"])
    def delete_now(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        actor = Actor.of(request.user)
        done = [managing.delete_now(asset, actor=actor) for asset in queryset]
        self._tell(request, done, "were deleted", "were deleted before, or could not be")

    def _tell(self, request: HttpRequest, done: list[bool], well: str, ill: str) -> None:
        if any(done):
            self.message_user(request, f"{sum(done)} file(s) {well}.", messages.SUCCESS)
        if not all(done):
            self.message_user(request, f"{len(done) - sum(done)} file(s) {ill}.", messages.WARNING)
