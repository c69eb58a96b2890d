"""Webhook endpoints and deliveries in Django admin: looked at, tested, and sent again."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge
from jobs.webhooks import endpoints
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from jobs.webhooks.ordering import stands_behind

_SHOWN = 50
_LOOKS = {"delivered": "good", "failed": "bad", "pending": "warn"}


def _state(endpoint: WebhookEndpoint) -> SafeString:
    if endpoint.is_active:
        return badge("failing", "warn", endpoint.error) if endpoint.failing_since else badge("active", "good")
    return badge("switched off for failing", "bad", endpoint.error) if endpoint.disabled_at else badge("off")


def _moment(column: str, words: str) -> Callable[[Any, Any], str]:
    """A time to the second: of attempts the minute says too little."""

    @admin.display(description=words, empty_value="-")
    def shown(self: Any, row: Any) -> str:
        at = getattr(row, column)
        return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "-"

    return shown


class _Resending(ReadOnlyAdmin):
    """One button besides: `button` is its name in addresses, `press` what it does (raises ApiError)."""

    button: str
    pressed: str
    press: Callable[[Any, Actor], None]

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.resend_webhook")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.pressing))
        name = f"jobs_{self.opts.model_name}_{self.button}"
        return [path(f"<str:pk>/{self.button}/", view, name=name), *super().get_urls()]

    def pressing(self, request: HttpRequest, pk: str) -> HttpResponse:
        """The button of a row's own page."""
        if not self.has_resend_permission(request):
            raise PermissionDenied
        row = get_object_or_404(self.model, pk=pk[:40].replace("\x00", ""))
        try:
            self.press(row, Actor.of(request.user))
        except ApiError as error:
            self.message_user(request, f"{error.message} {error.hint}", messages.WARNING)
        else:
            self.message_user(request, self.pressed, messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"admin:jobs_{self.opts.model_name}_change", args=[row.pk]))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_Resending):
    empty_words = "No client has an endpoint yet. Clients add theirs with POST /api/v1/webhook-endpoints."
    button, pressed = "test", "A test event is on its way; see the newest delivery."
    list_display = ["id", "client", "url", "description", "ordered", "shown_state", "failures", "created_at"]
    list_filter = ["is_active", "ordered"]
    list_select_related = ["client"]
    search_fields = ["id", "url", "client__name"]
    search_help_text = "Words in client or address."
    change_form_template = "admin/jobs/webhookendpoint/page.html"
    fields = [
        "id", "client", "url", "description", "shown_events", "ordered", "shown_state", "failures", "since", "error",
        "disabled", "made", "both_sign_until",
    ]  # fmt: skip
    readonly_fields = ["shown_events", "shown_state", "since", "disabled", "made", "both_sign_until"]
    actions = ["send_test"]
    since = _moment("failing_since", "failing since")
    disabled = _moment("disabled_at", "switched off for failing")
    made = _moment("created_at", "created")
    both_sign_until = _moment("previous_until", "old and new secret sign until")

    @admin.display(description="events")
    def shown_events(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events)

    def press(self, row: WebhookEndpoint, actor: Actor) -> None:
        endpoints.send_test(row)

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
        rows = WebhookDelivery.objects.filter(endpoint_id=unquote(object_id)[:40].replace("\x00", ""))
        rows = rows.select_related("message").annotate(is_behind=stands_behind())[:_SHOWN]
        shown = [(row, badge(row.status, _LOOKS.get(row.status, ""))) for row in rows]
        context = {**(kwargs.get("extra_context") or {}), "deliveries": shown}
        return super().change_view(request, object_id, *args, **kwargs | {"extra_context": context})


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_Resending):
    empty_words = (
        "Nothing was delivered yet. Events go to the endpoints that clients add, and to the webhook_url of a job."
    )
    button, pressed = "resend", "It is on its way again."
    list_display = ["id", "shown_status", "kind", "about", "client", "attempts", "answer", "made"]
    list_filter = ["status", "message__kind"]
    list_select_related = ["message", "client"]
    search_fields = ["id", "message__id", "message__subject", "endpoint__id", "client__name"]
    search_help_text = "A delivery, message, job or endpoint id, or words in the client."
    show_full_result_count = False
    fields = [
        "id", "message_id", "kind", "about", "client", "to", "url", "shown_status", "attempts", "made", "attempted",
        "next_attempt", "given_up", "delivered", "response_status", "response_body", "error",
    ]  # fmt: skip
    readonly_fields = [
        "message_id", "kind", "about", "to", "shown_status", "made", "attempted", "next_attempt", "given_up",
        "delivered",
    ]  # fmt: skip
    change_form_template = "admin/jobs/webhookdelivery/page.html"
    actions = ["resend"]
    made = _moment("created_at", "created")
    attempted = _moment("attempted_at", "last attempt")
    given_up = _moment("give_up_at", "tried until")
    delivered = _moment("delivered_at", "delivered")

    @admin.display(description="next attempt")
    def next_attempt(self, delivery: WebhookDelivery) -> str:
        if delivery.status != WebhookDelivery.Status.PENDING:
            return "-"
        behind = WebhookDelivery.objects.filter(pk=delivery.pk).filter(stands_behind()).exists()
        return "when those before it have ended" if behind else f"{delivery.next_at:%Y-%m-%d %H:%M:%S} UTC"

    def press(self, row: WebhookDelivery, actor: Actor) -> None:
        endpoints.resend(row, actor=actor)

    @admin.display(description="event", ordering="message__kind")
    def kind(self, delivery: WebhookDelivery) -> str:
        return delivery.message.kind

    @admin.display(description="about")
    def about(self, delivery: WebhookDelivery) -> SafeString | str:
        subject = delivery.message.subject
        if not subject.startswith("job_"):
            return subject
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[subject]), subject)

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
        # In the order in which they came: ordered endpoints get them so.
        for delivery in queryset.select_related("endpoint").order_by("pk"):
            try:
                endpoints.resend(delivery, actor=actor)
                sent += 1
            except ApiError:
                refused += 1
        self.message_user(request, f"{sent} on their way again.", messages.SUCCESS if sent else messages.WARNING)
        if refused:
            words = f"{refused} were left: still being tried, or their endpoint is switched off."
            self.message_user(request, words, messages.WARNING)
