"""Webhook endpoints and deliveries in Django admin: looked at, tested, and sent again."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge
from jobs.webhooks import endpoints
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint

_SHOWN = 50
_LOOKS = {"delivered": "good", "failed": "bad", "pending": "warn"}


def _state(endpoint: WebhookEndpoint) -> SafeString:
    if endpoint.is_active:
        return badge("failing", "warn", endpoint.error) if endpoint.failing_since else badge("active", "good")
    return badge("switched off for failing", "bad", endpoint.error) if endpoint.disabled_at else badge("off")


class _Resending(ReadOnlyAdmin):
    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.resend_webhook")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_Resending):
    list_display = ["id", "client", "url", "description", "shown_state", "failures", "created_at"]
    list_filter = ["is_active"]
    list_select_related = ["client"]
    search_fields = ["id", "url", "client__name"]
    search_help_text = "Words in client or address."
    change_form_template = "admin/jobs/webhookendpoint/page.html"
    fields = [
        "id", "client", "url", "description", "events", "shown_state", "failures", "failing_since", "error",
        "disabled_at", "created_at", "previous_until",
    ]  # fmt: skip
    readonly_fields = ["shown_state"]
    actions = ["send_test"]

    @admin.display(description="state")
    def shown_state(self, endpoint: WebhookEndpoint) -> SafeString:
        return _state(endpoint)

    @admin.action(description="Send a test event to selected endpoints", permissions=["resend"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        sent = 0
        for endpoint in queryset:
            try:
                endpoints.send_test(endpoint)
                sent += 1
            except ApiError as error:
                self.message_user(request, f"{endpoint.pk}: {error.message}", messages.WARNING)
        if sent:
            self.message_user(request, f"{sent} test event(s) on their way.", messages.SUCCESS)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the newest deliveries below."""
        rows = WebhookDelivery.objects.filter(endpoint_id=object_id[:40]).select_related("message")[:_SHOWN]
        shown = [(row, badge(row.status, _LOOKS.get(row.status, ""))) for row in rows]
        context = {**(kwargs.get("extra_context") or {}), "deliveries": shown}
        return super().change_view(request, object_id, *args, **kwargs | {"extra_context": context})


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_Resending):
    list_display = ["id", "shown_status", "kind", "about", "client", "attempts", "answer", "created_at"]
    list_filter = ["status", "message__kind"]
    list_select_related = ["message", "client"]
    search_fields = ["id", "message__id", "message__subject", "endpoint__id", "client__name"]
    search_help_text = "A delivery, message, job or endpoint id, or words in the client."
    show_full_result_count = False
    fields = [
        "id", "message_id", "kind", "about", "client", "to", "url", "shown_status", "attempts", "attempted_at",
        "next_at", "give_up_at", "delivered_at", "response_status", "response_body", "error", "created_at",
    ]  # fmt: skip
    readonly_fields = ["message_id", "kind", "about", "to", "shown_status"]
    actions = ["resend"]

    @admin.display(description="event", ordering="message__kind")
    def kind(self, delivery: WebhookDelivery) -> str:
        return delivery.message.kind

    @admin.display(description="about")
    def about(self, delivery: WebhookDelivery) -> str:
        return delivery.message.subject

    @admin.display(description="to")
    def to(self, delivery: WebhookDelivery) -> SafeString | str:
        if delivery.endpoint_id is None:
            return "the job’s own address"
        url = reverse("admin:jobs_webhookendpoint_change", args=[delivery.endpoint_id])
        return format_html('<a href="{}">{}</a>', url, delivery.endpoint_id)

    @admin.display(description="last answer")
    def answer(self, delivery: WebhookDelivery) -> str:
        return delivery.error or str(delivery.response_status or "none yet")

    @admin.display(description="status", ordering="status")
    def shown_status(self, delivery: WebhookDelivery) -> SafeString:
        return badge(delivery.status, _LOOKS.get(delivery.status, ""))

    @admin.action(description="Send selected deliveries again", permissions=["resend"])
    def resend(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        actor, sent, refused = Actor.of(request.user), 0, 0
        for delivery in queryset.select_related("endpoint"):
            try:
                endpoints.resend(delivery, actor=actor)
                sent += 1
            except ApiError:
                refused += 1
        self.message_user(request, f"{sent} on their way again.", messages.SUCCESS if sent else messages.WARNING)
        if refused:
            words = f"{refused} were left: still being tried, or their endpoint is switched off."
            self.message_user(request, words, messages.WARNING)
