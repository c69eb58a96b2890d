"""Audit, alerts and outbox in the admin."""

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from genfeed.journal.alerts import acknowledge
from genfeed.journal.audit import Actor
from genfeed.journal.models import Alert, AuditEvent, NoticeChannel, OutboxEvent
from genfeed.journal.pages import ReadOnlyAdmin, badge


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor_name", "action", "object_name", "reason"]
    list_filter = ["action", "object_type"]
    search_fields = ["actor_name", "object_name", "object_id", "request_id"]
    search_help_text = "Words in actor, object or request id."
    date_hierarchy = "at"
    show_full_result_count = False


_STATES = {
    "open": Q(resolved_at=None, acknowledged_at=None),
    "acknowledged": Q(resolved_at=None, acknowledged_at__isnull=False),
    "resolved": Q(resolved_at__isnull=False),
}
_LOOKS = {"critical": "bad", "warning": "warn", "open": "warn", "resolved": "good"}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(name, name) for name in _STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        condition = _STATES.get(self.value() or "")
        return queryset.filter(condition) if condition is not None else queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    empty_words = "Nothing to worry about. What needs a person's eye appears here, and on the start page."
    list_display = ["shown_level", "linked_title", "subject", "seen", "shown_state"]
    list_display_links = ["shown_level"]
    list_filter = [StateFilter, "level", "code"]
    list_select_related = ["acknowledged_by"]
    search_fields = ["subject", "title"]
    search_help_text = "Words in title or subject."
    actions = ["acknowledge"]
    fieldsets = [
        (None, {"fields": ["linked_title", "text", "shown_level", "shown_state"]}),
        ("Where and when", {"fields": ["code", "subject", "times", "created_at", "last_seen_at"]}),
        ("How it ended", {"fields": ["acknowledged_at", "acknowledged_by", "resolved_at"]}),
    ]
    readonly_fields = ["linked_title", "shown_level", "shown_state"]

    @admin.display(description="level", ordering="level")
    def shown_level(self, alert: Alert) -> SafeString:
        return badge(alert.level, _LOOKS.get(alert.level, ""))

    @admin.display(description="state")
    def shown_state(self, alert: Alert) -> SafeString:
        by = f" by {alert.acknowledged_by}" if alert.state == "acknowledged" and alert.acknowledged_by else ""
        return badge(f"{alert.state}{by}", _LOOKS.get(alert.state, ""))

    @admin.display(description="title", ordering="title")
    def linked_title(self, alert: Alert) -> SafeString:
        return format_html('<a href="{}">{}</a>', alert.page, alert.title)

    @admin.display(description="last seen (UTC)", ordering="last_seen_at")
    def seen(self, alert: Alert) -> str:
        return f"{alert.last_seen_at:%Y-%m-%d %H:%M}{f', {alert.times} times' if alert.times > 1 else ''}"

    @admin.action(description="Acknowledge selected alerts", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        actor = Actor.of(request.user)
        done = sum(acknowledge(alert, actor=actor) for alert in queryset)
        self.message_user(request, f"{done} acknowledged.", messages.SUCCESS)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("journal.change_alert")


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "kind", "subject", "delivered_at"]
    list_filter = ["kind"]
    search_fields = ["subject"]
    show_full_result_count = False


@admin.register(NoticeChannel)
class NoticeChannelAdmin(ReadOnlyAdmin):
    """Whether staff are reached, and if not, why."""

    list_display = ["name", "failures", "error", "next_at", "digest_at"]
