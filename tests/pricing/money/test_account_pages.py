"""The pages of accounts: money moves by finance alone, shown once more before it is booked, with a reason for good."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from pricing.ledger.accounts import set_terms
from pricing.ledger.afterwards import correct
from pricing.models import Account, Budget, LedgerTransaction
from tests.admin.pages import form_data, page_of, read
from tests.pricing.ledger.books import CENT, USD, balance, hold, make_client
from tests.pricing.money.used import use

# Every movement is a transaction of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Client:
    return make_client()


@pytest.fixture
def finance(db: None) -> HttpClient:
    """A superuser: the roles of migrations are gone where tests commit."""
    client = HttpClient()
    client.force_login(User.objects.create_superuser("fin", password="x"))
    return client


def address(client: Client, what: str = "") -> str:
    pk = Account.objects.get(client=client).pk
    return f"/admin/pricing/account/{pk}/" + (f"move/{what}/" if what else "change/")


def move(browser: HttpClient, url: str, **values: str) -> HttpResponse:
    """Fills a form, and confirms what it then shows, as a person does."""
    shown = page_of(browser.post(url, values))
    return browser.post(url, form_data(shown, "confirm"), follow=True)


def test_a_top_up_is_shown_first_and_then_booked(alice: Client, finance: HttpClient) -> None:
    url = address(alice, "top-up")
    typed = {"amount": "2.50", "reason": "paid", "reference": "INV-1"}
    shown = page_of(finance.post(url, typed))

    assert "available 10 → 12.5 USD" in shown.one("strong", data_testid="what").text
    assert balance(alice)[0] == 10 * USD

    finance.post(url, form_data(shown, "confirm"))
    row = LedgerTransaction.objects.get(reference="INV-1")
    assert (balance(alice)[0], row.reason, row.actor_name) == (12_500_000_000, "paid", "fin")
    event = AuditEvent.objects.filter(action="account.top_up").latest("pk")
    assert (event.actor_name, event.reason) == ("fin", "paid")


@pytest.mark.once
def test_what_was_changed_after_it_was_shown_is_shown_again(alice: Client, finance: HttpClient) -> None:
    url = address(alice, "top-up")
    shown = form_data(page_of(finance.post(url, {"amount": "2", "reason": "paid", "reference": ""})), "confirm")

    page = page_of(finance.post(url, shown | {"amount": ["2000"]}))
    assert page.has(data_testid="confirm")
    assert balance(alice)[0] == 10 * USD


@pytest.mark.once
@pytest.mark.parametrize("amount", ["-1", "0", "NaN", "inf", "1e30", "ten", "", "10000000.01", "1,5", "٣"])
def test_an_amount_that_is_none_books_nothing(alice: Client, finance: HttpClient, amount: str) -> None:
    url = address(alice, "top-up")
    typed = {"amount": amount, "reason": "paid", "reference": ""}
    page = page_of(finance.post(url, typed))
    if page.has(data_testid="confirm"):
        page = page_of(finance.post(url, form_data(page, "confirm")))

    assert "Nothing was booked" in page.text
    assert balance(alice)[0] == 10 * USD


@pytest.mark.once
def test_without_a_reason_nothing_is_booked(alice: Client, finance: HttpClient) -> None:
    page = page_of(finance.post(address(alice, "top-up"), {"amount": "1", "reason": " ", "reference": ""}))

    assert "Nothing was booked" in page.text


def test_a_reference_is_booked_once(alice: Client, finance: HttpClient) -> None:
    url = address(alice, "top-up")
    for _ in range(2):
        move(finance, url, amount="1", reason="paid", reference="INV-1")

    assert balance(alice)[0] == 11 * USD


def test_a_balance_is_corrected_down_to_what_is_there(alice: Client, finance: HttpClient) -> None:
    url = address(alice, "correct")
    move(finance, url, amount="-4", reason="booked twice", reference="")
    assert balance(alice)[0] == 6 * USD

    move(finance, url, amount="-7", reason="booked twice", reference="")
    assert balance(alice)[0] == 6 * USD


@pytest.mark.once
def test_a_job_is_refunded_from_its_line(alice: Client, finance: HttpClient) -> None:
    use(alice, "job_1", charge=10 * CENT)
    links = [
        element.attributes["href"] for element in read(finance, address(alice)).all("a") if element.text == "refund"
    ]
    assert links == [f"{address(alice, 'refund')}?job=job_1"]

    move(finance, address(alice, "refund"), job="job_1", amount="0.04", reason="sorry", reference="T-1")
    assert balance(alice)[2] == 6 * CENT


@pytest.mark.once
def test_another_clients_job_is_not_refunded_here(alice: Client, finance: HttpClient) -> None:
    use(make_client("bob"), "job_1", charge=10 * CENT)

    typed = {"job": "job_1", "amount": "0.04", "reason": "sorry", "reference": "T-1"}
    assert "no such job" in page_of(finance.post(address(alice, "refund"), typed)).text


@pytest.mark.once
def test_a_debt_is_forgiven(finance: HttpClient) -> None:
    owing = make_client("bob", usd=0, funding="postpaid", credit_line=5 * USD)
    use(owing, "job_1", charge=2 * USD)

    move(finance, address(owing, "forgive"), reason="bankrupt")
    assert balance(owing) == (0, 0, 2 * USD, 2 * USD)


@pytest.mark.once
def test_terms_are_set_with_a_reason(alice: Client, finance: HttpClient) -> None:
    values = {"funding": "postpaid", "credit_line": "50", "billing": "quoted", "charges_failures": "on",
              "low_balance": "1.5", "reason": "contract"}  # fmt: skip
    move(finance, address(alice, "terms"), **values)

    account = Account.objects.get(client=alice)
    assert (account.funding, account.credit_line, account.billing) == ("postpaid", 50 * USD, "quoted")
    assert (account.charges_failures, account.charges_cancels, account.low_balance) == (True, False, 1_500_000_000)
    assert AuditEvent.objects.filter(action="account.terms_changed").latest("pk").reason == "contract"


def test_the_page_shows_what_is_held_and_for_what(alice: Client, finance: HttpClient) -> None:
    hold(alice, "job_9", 3 * USD)
    page = read(finance, address(alice))

    assert page.one("span", data_testid="available").text == "7 available"
    assert page.one("span", data_testid="held").text == "3 held for 1 job"
    assert page.row("job_9")[0] == "3"


def test_the_list_filters_who_owes_and_who_runs_low(alice: Client, finance: HttpClient) -> None:
    owing = make_client("bob", usd=0, funding="postpaid", credit_line=5 * USD)
    use(owing, "job_1", charge=2 * USD)
    set_terms(alice.pk, actor=SYSTEM, low_balance=11 * USD)

    def names(query: str) -> set[str]:
        page = read(finance, f"/admin/pricing/account/?{query}")
        return {name for name in ("alice", "bob") if any(name in row for row in page.rows)}

    assert (names("state=owing"), names("state=low"), names("q=ali")) == ({"bob"}, {"alice"}, {"alice"})


def test_a_late_correction_is_found_by_its_job(alice: Client, finance: HttpClient) -> None:
    use(alice, "job_1", charge=10 * CENT)
    correct("job_1", charge=7 * CENT, cost=2 * CENT, reference="bill-1", reason="the bill")

    for query in ("q=job_1", "q=bill-1", "q=alice", "kind__exact=correction"):
        assert "bill-1" in read(finance, f"/admin/pricing/ledgertransaction/?{query}").text
    assert "bill-1" not in read(finance, "/admin/pricing/ledgertransaction/?q=job_2").text


@pytest.mark.once
def test_a_movement_can_be_neither_changed_nor_deleted(alice: Client, finance: HttpClient) -> None:
    row = LedgerTransaction.objects.get()
    page = f"/admin/pricing/ledgertransaction/{row.pk}"

    assert "10" in read(finance, f"{page}/change/").text
    assert finance.post(f"{page}/change/", {"funded": "1"}).status_code == 403
    assert finance.post(f"{page}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.once
def test_a_budget_is_added_changed_and_ended(alice: Client, finance: HttpClient) -> None:
    values = {"client": str(alice.pk), "period": "day", "limit": "5", "is_hard": "on", "thresholds": "80, 50",
              "reason": "a trial"}  # fmt: skip
    finance.post("/admin/pricing/budget/add/", values)
    budget = Budget.objects.get()
    assert (budget.limit, budget.is_hard, budget.thresholds, budget.origin) == (5 * USD, True, [50, 80], "operator")

    page = f"/admin/pricing/budget/{budget.pk}/change/"
    finance.post(page, {"limit": "7", "thresholds": "", "reason": "more"})
    budget.refresh_from_db()
    assert (budget.limit, budget.is_hard, budget.thresholds) == (7 * USD, False, [])

    finance.post(page, {"do": "end", "reason": "over"})
    budget.refresh_from_db()
    assert budget.is_active is False
    events = AuditEvent.objects.filter(action__startswith="budget.").order_by("pk")
    assert [(event.action, event.reason) for event in events] == [
        ("budget.added", "a trial"), ("budget.changed", "more"), ("budget.ended", "over"),
    ]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(
    "wrong",
    [{"limit": "-1"}, {"limit": "NaN"}, {"model": "no/such"}, {"category": "juggling"}, {"key": "gf_nope"},
     {"thresholds": "half"}, {"thresholds": "0"}, {"reason": ""}, {"client": "999999"}],
)  # fmt: skip
def test_a_budget_that_makes_no_sense_is_not_added(alice: Client, finance: HttpClient, wrong: dict[str, str]) -> None:
    values: dict[str, Any] = {"client": str(alice.pk), "period": "day", "limit": "5", "reason": "a trial"}
    page = page_of(finance.post("/admin/pricing/budget/add/", values | wrong))

    assert "Nothing was saved" in page.text
    assert not Budget.objects.exists()


def test_the_statement_is_there_to_look_at_and_as_csv(alice: Client, finance: HttpClient) -> None:
    page = read(finance, address(alice))
    link = next(one.attributes["href"] for one in page.all("a") if "/statement/" in one.attributes.get("href", ""))

    assert read(finance, link).row("Closing balance") == ["10"]
    assert "sum,closing_balance,,,10" in finance.get(f"{link}?format=csv").content.decode()
    assert finance.get(link.replace(link.split("/")[-2], "now")).status_code == 404


@pytest.mark.once
@pytest.mark.django_db
def test_roles_without_the_permission_see_and_move_nothing(staff: Callable[[str], HttpClient]) -> None:
    client = Client.objects.create(name="alice")
    account = Account.objects.create(client=client)
    viewer = staff("viewer")

    page = read(viewer, f"/admin/pricing/account/{account.pk}/change/")
    assert not [one for one in page.all("a") if "/move/" in one.attributes.get("href", "")]
    typed = {"amount": "1", "reason": "paid", "reference": ""}
    assert viewer.post(f"/admin/pricing/account/{account.pk}/move/top-up/", typed).status_code == 403
    assert viewer.get("/admin/pricing/budget/add/").status_code == 403


@pytest.mark.once
@pytest.mark.django_db
def test_finance_may_move_money(staff: Callable[[str], HttpClient]) -> None:
    account = Account.objects.create(client=Client.objects.create(name="alice"))

    assert staff("finance").get(f"/admin/pricing/account/{account.pk}/move/top-up/").status_code == 200
