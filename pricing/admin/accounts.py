"""Accounts in Django admin: balances, terms, and every way in which people move money; confirmed, with a reason."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from genfeed.clients.models import Client
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge
from pricing.admin.moving import MOVES, RefundForm, TermsForm
from pricing.budgets.reserving import standings_of
from pricing.ledger.accounts import MoneyRefusedError, account_of
from pricing.models import Account, Budget, Hold, LedgerTransaction
from pricing.money import NotMoney, format_usd
from pricing.usage.days import BadDayError, local_day, read_month
from pricing.usage.rendering import balances_of, statement_csv
from pricing.usage.statements import statement_of

_ROWS = 50


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("owing", "owes us"), ("low", "below its low-balance threshold"), ("empty", "nothing usable")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        conditions = {
            "owing": Q(available__lt=0),
            "low": Q(low_balance__gt=F("available")),
            "empty": Q(available__lte=-F("credit_line")),
        }
        return queryset.filter(conditions[self.value()]) if self.value() in conditions else queryset  # type: ignore[index]


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ["client", "state", "shown_available", "shown_held", "shown_spent", "shown_funded", "terms"]
    list_display_links = ["client"]
    list_filter = [StateFilter, "funding", "billing"]
    list_select_related = ["client"]
    list_per_page = 50
    search_fields = ["client__name"]
    search_help_text = "Words in the client's name."
    ordering = ["client__name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        # Nothing is ever paid into those of test sides, or out of them.
        return super().get_queryset(request).filter(client__test_of=None)

    @admin.display(description="available, USD", ordering="available")
    def shown_available(self, account: Account) -> str:
        return format_usd(account.available)

    @admin.display(description="held", ordering="held")
    def shown_held(self, account: Account) -> str:
        return format_usd(account.held)

    @admin.display(description="spent", ordering="spent")
    def shown_spent(self, account: Account) -> str:
        return format_usd(account.spent)

    @admin.display(description="funded", ordering="funded")
    def shown_funded(self, account: Account) -> str:
        return format_usd(account.funded)

    @admin.display(description="terms")
    def terms(self, account: Account) -> str:
        line = f" up to {format_usd(account.credit_line)} USD" if account.credit_line else ""
        return f"{account.funding}{line}, {account.billing}"

    @admin.display(description="state")
    def state(self, account: Account) -> SafeString:
        return badge(*standing_words(account))

    def has_move_permission(self, request: HttpRequest) -> bool:
        # In core mode there is no balance to move anything into.
        return settings.GENFEED_MODE == "cloud" and request.user.has_perm("pricing.move_money")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("of-client/<int:client_id>/", view(self.of_client), name="pricing_account_of_client"),
            path("<int:pk>/statement/<str:month>/", view(self.statement), name="pricing_account_statement"),
            path("<int:pk>/move/<str:what>/", view(self.move), name="pricing_account_move"),
        ]
        return own + super().get_urls()

    def of_client(self, request: HttpRequest, client_id: int) -> HttpResponse:
        """To the account of a client, which is opened where there is none yet; from a test side to its client's."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        client = Client.objects.filter(pk=client_id).first()
        if client is None:
            raise Http404
        account = account_of(client.test_of_id or client.pk)
        return HttpResponseRedirect(reverse("admin:pricing_account_change", args=[account.pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The account with its terms, open holds, newest movements and budgets."""
        account = self._account(request, object_id)
        now = timezone.now()
        budgets = Budget.objects.filter(client=account.client, is_active=True).order_by("pk")
        today = local_day(now, account.client.timezone)
        context = {
            "account": account,
            "standing": standing_words(account),
            "may_move": self.has_move_permission(request),
            "holds": Hold.objects.filter(account=account, closed_at=None)[:_ROWS],
            "movements": LedgerTransaction.objects.filter(account=account)[:_ROWS],
            "budgets": standings_of(budgets.select_related("client", "key", "model"), now=now),
            "months": _months(today.year, today.month),
        }
        return self._page(request, "admin/pricing/account/page.html", f"Account of {account.client}", context)

    def move(self, request: HttpRequest, pk: int, what: str) -> HttpResponse:
        """A form; the same once more, to confirm; then what it does."""
        account, chosen = self._account(request, str(pk)), MOVES.get(what)
        if chosen is None:
            raise Http404
        if not self.has_move_permission(request):
            raise PermissionDenied
        options: dict[str, Any] = {"account": account} if chosen.make is RefundForm else {}
        if chosen.make is TermsForm:
            options["initial"] = {name: getattr(account, name) for name in TermsForm.base_fields if name != "reason"}
        elif request.method == "GET":
            options["initial"] = {"job": request.GET.get("job", "").replace("\x00", "")[:40]}
        form = chosen.make(request.POST if request.method == "POST" else None, **options)
        context: dict[str, Any] = {"account": account, "form": form, "move": chosen, "what": what}
        if request.method == "POST" and form.is_valid():
            if form.was_shown(request.POST.get("seal", "")):
                try:
                    chosen.run(account, form.cleaned_data, Actor.of(request.user))
                except (MoneyRefusedError, NotMoney) as error:
                    form.add_error(None, str(error))
                else:
                    self.message_user(request, f"{chosen.title}: done.", messages.SUCCESS)
                    return HttpResponseRedirect(reverse("admin:pricing_account_change", args=[account.pk]))
            else:
                context |= {"words": chosen.words(account, form.cleaned_data), "seal": form.seal()}
                context["typed"] = [(name, form.data[name]) for name in form.fields if name in form.data]
        return self._page(request, "admin/pricing/account/move.html", f"{chosen.title}: {account.client}", context)

    def statement(self, request: HttpRequest, pk: int, month: str) -> HttpResponse:
        """The statement of a month, to look at, to print and as CSV."""
        account = self._account(request, str(pk))
        try:
            statement = statement_of(account.client, read_month(month))
        except BadDayError as error:
            raise Http404(str(error)) from error
        if request.GET.get("format") == "csv":
            answer = HttpResponse(statement_csv(statement), content_type="text/csv; charset=utf-8")
            answer.headers["Content-Disposition"] = f'attachment; filename="statement-{statement.month}.csv"'
            return answer
        context = {"account": account, "statement": statement, "sums": balances_of(statement)}
        return self._page(request, "admin/pricing/account/statement.html", f"Statement {statement.month}", context)

    def _account(self, request: HttpRequest, object_id: str | None) -> Account:
        if not self.has_view_permission(request):
            raise PermissionDenied
        account = self.get_object(request, object_id or "")
        if account is None:
            raise Http404
        return account

    def _page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        common = {"title": title, "opts": self.opts, **self.admin_site.each_context(request)}
        return TemplateResponse(request, template, common | context)


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(ReadOnlyAdmin):
    list_display = [
        "at",
        "linked_account",
        "kind",
        "job",
        "reference",
        "moved",
        "spent_usd",
        "cost_usd",
        "reason",
        "actor_name",
    ]
    list_display_links = ["at"]
    list_filter = ["kind", "at"]
    list_select_related = ["account__client"]
    list_per_page = 50
    show_full_result_count = False
    fields: ClassVar[Any] = [
        "at", "linked_account", "kind", "job", "reference", "moved", "held_usd", "spent_usd", "funded_usd", "cost_usd",
        "loss_usd", "reason", "actor_name",
    ]  # fmt: skip
    readonly_fields: ClassVar[Any] = fields
    # Exact: a ledger is too long to look into every row.
    search_fields = ["=job", "=reference", "account__client__name"]
    search_help_text = "A job's id, a reference, or words in the client's name."

    @admin.display(description="client")
    def linked_account(self, row: LedgerTransaction) -> SafeString:
        url = reverse("admin:pricing_account_of_client", args=[row.account.client_id])
        return format_html('<a href="{}">{}</a>', url, row.account.client)

    @admin.display(description="available, USD")
    def moved(self, row: LedgerTransaction) -> str:
        return format_usd(row.available)

    @admin.display(description="held, USD")
    def held_usd(self, row: LedgerTransaction) -> str:
        return format_usd(row.held)

    @admin.display(description="charged, USD")
    def spent_usd(self, row: LedgerTransaction) -> str:
        return format_usd(row.spent)

    @admin.display(description="funded, USD")
    def funded_usd(self, row: LedgerTransaction) -> str:
        return format_usd(row.funded)

    @admin.display(description="cost, USD")
    def cost_usd(self, row: LedgerTransaction) -> str:
        return format_usd(row.cost)

    @admin.display(description="our loss, USD")
    def loss_usd(self, row: LedgerTransaction) -> str:
        return format_usd(row.loss)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ["job", "account", "amount_usd", "opened_at", "closed_at"]
    fields: ClassVar[Any] = ["job", "account", "amount_usd", "opened_at", "closed_at"]
    readonly_fields: ClassVar[Any] = fields
    list_filter = [("closed_at", admin.EmptyFieldListFilter), "opened_at"]
    list_select_related = ["account__client"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=job", "account__client__name"]
    search_help_text = "A job's id, or words in the client's name."

    @admin.display(description="amount, USD", ordering="amount")
    def amount_usd(self, row: Hold) -> str:
        return format_usd(row.amount)


def standing_words(account: Account) -> tuple[str, str]:
    """How an account stands, and the look of its badge."""
    if settings.GENFEED_MODE == "core":
        return "counts only", ""
    if account.available < 0:
        return "owes", "bad" if account.available <= -account.credit_line else "warn"
    if account.low_balance is not None and account.available < account.low_balance:
        return "low", "warn"
    return ("empty", "warn") if account.available + account.credit_line <= 0 else ("good", "good")


def _months(year: int, month: int, count: int = 6) -> list[str]:
    numbers = [year * 12 + month - 1 - back for back in range(count)]
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]
