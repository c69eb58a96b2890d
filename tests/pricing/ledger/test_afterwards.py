"""Refunds, corrections by late bills, write-offs, top-ups: what people and bills do to money later."""

import pytest

from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from pricing.ledger.accounts import LARGEST, MoneyRefusedError, correct_balance, forgive_debt, set_terms, top_up
from pricing.ledger.afterwards import charged_for, correct, cost_of, refund, write_off
from pricing.ledger.checking import check_ledger
from pricing.models import Account, LedgerTransaction
from pricing.money import NotMoney
from tests.pricing.ledger.books import CENT, USD, balance, end, hold, make_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_charged() -> object:
    client = make_client(usd=10)
    hold(client, amount=4 * USD)
    end(charge=2 * USD, cost=USD)
    return client


def give_back(amount: int = USD, reason: str = "blurred", reference: str = "ticket 7") -> LedgerTransaction:
    return refund("job_1", amount, actor=SYSTEM, reason=reason, reference=reference)


def fix(charge: int, cost: int, reference: str = "event 1") -> LedgerTransaction | None:
    return correct("job_1", charge=charge, cost=cost, reference=reference, reason="bill")


def test_a_refund_gives_money_back_with_its_reason_in_the_audit(client_charged: object) -> None:
    give_back(USD)

    assert balance(client_charged) == (9 * USD, 0, USD, 10 * USD)  # type: ignore[arg-type]
    assert charged_for("job_1") == USD
    assert AuditEvent.objects.get(action="account.refund").reason == "blurred"


def test_the_same_refund_twice_is_one(client_charged: object) -> None:
    assert give_back().pk == give_back().pk
    assert charged_for("job_1") == USD


def test_no_more_is_given_back_than_was_charged(client_charged: object) -> None:
    give_back(USD, reference="one")

    with pytest.raises(MoneyRefusedError, match="was charged 1 USD"):
        give_back(USD + 1, reference="two")


@pytest.mark.once
@pytest.mark.parametrize("amount", [0, -1, True, 1.5])
def test_a_refund_must_be_a_whole_amount_above_nothing(client_charged: object, amount: object) -> None:
    with pytest.raises(MoneyRefusedError):
        give_back(amount)  # type: ignore[arg-type]


def test_a_refund_needs_a_reason(client_charged: object) -> None:
    with pytest.raises(MoneyRefusedError, match="Say why"):
        give_back(reason=" ")


def test_a_job_that_has_not_ended_can_t_be_refunded() -> None:
    hold(make_client())

    with pytest.raises(MoneyRefusedError, match="not settled"):
        give_back()


def test_a_higher_bill_raises_charge_and_cost_up_to_the_hold(client_charged: object) -> None:
    fix(charge=3 * USD, cost=2 * USD)

    assert (charged_for("job_1"), cost_of("job_1")) == (3 * USD, 2 * USD)
    assert balance(client_charged) == (7 * USD, 0, 3 * USD, 10 * USD)  # type: ignore[arg-type]


def test_a_correction_never_passes_the_hold_and_books_the_loss(client_charged: object) -> None:
    fix(charge=9 * USD, cost=6 * USD)

    assert charged_for("job_1") == 4 * USD
    assert LedgerTransaction.objects.get(kind="correction").loss == 2 * USD


def test_a_lower_bill_gives_the_difference_back(client_charged: object) -> None:
    fix(charge=USD, cost=CENT)

    assert (charged_for("job_1"), cost_of("job_1")) == (USD, CENT)


def test_the_same_bill_corrects_once(client_charged: object) -> None:
    fix(charge=3 * USD, cost=2 * USD)

    assert fix(charge=3 * USD, cost=2 * USD) is None
    assert charged_for("job_1") == 3 * USD


def test_a_bill_that_says_the_same_writes_nothing(client_charged: object) -> None:
    assert fix(charge=2 * USD, cost=USD) is None
    assert not LedgerTransaction.objects.filter(kind="correction").exists()


def test_a_refund_stays_given_when_a_bill_corrects_the_charge(client_charged: object) -> None:
    give_back(USD)

    fix(charge=3 * USD, cost=2 * USD)

    assert charged_for("job_1") == 2 * USD


def test_a_refund_of_everything_is_not_taken_below_nothing_by_a_lower_bill(client_charged: object) -> None:
    give_back(2 * USD)

    fix(charge=USD, cost=CENT)

    assert charged_for("job_1") == 0


def test_a_correction_takes_no_more_than_the_client_has(client_charged: object) -> None:
    hold(client_charged, "job_2", amount=8 * USD)  # type: ignore[arg-type]

    fix(charge=4 * USD, cost=3 * USD)

    assert charged_for("job_1") == 2 * USD
    assert balance(client_charged)[0] == 0  # type: ignore[arg-type]
    assert LedgerTransaction.objects.get(kind="correction").loss == USD


def test_a_late_bill_of_a_released_job_is_our_loss() -> None:
    client = make_client()
    hold(client)
    end()

    fix(charge=0, cost=CENT)

    assert LedgerTransaction.objects.get(kind="correction").loss == CENT
    assert balance(client)[0] == 10 * USD


def test_a_cost_that_nobody_pays_is_written_off_once() -> None:
    hold(make_client())

    assert write_off("job_1", CENT, reference="event 1", reason="turned up later")
    assert write_off("job_1", CENT, reference="event 1", reason="turned up later") is None
    assert cost_of("job_1") == CENT


@pytest.mark.once
@pytest.mark.parametrize("amount", [0, -1, LARGEST + 1])
def test_a_top_up_is_above_nothing_and_sane(amount: int) -> None:
    client = make_client(usd=0)

    with pytest.raises(MoneyRefusedError):
        top_up(client.pk, amount, actor=SYSTEM, reason="paid")

    assert balance(client) == (0, 0, 0, 0)


@pytest.mark.once
@pytest.mark.parametrize("amount", [True, 1.5, float("nan"), "5"])
def test_an_amount_is_whole_nano_usd(amount: object) -> None:
    with pytest.raises(NotMoney):
        top_up(make_client().pk, amount, actor=SYSTEM, reason="paid")  # type: ignore[arg-type]


def test_a_top_up_with_the_same_reference_is_booked_once() -> None:
    client = make_client(usd=0)
    top_up(client.pk, USD, actor=SYSTEM, reason="paid", reference="invoice 1")

    with pytest.raises(MoneyRefusedError, match="booked before"):
        top_up(client.pk, USD, actor=SYSTEM, reason="paid", reference="invoice 1")

    assert balance(client)[3] == USD


def test_a_top_up_needs_a_reason() -> None:
    with pytest.raises(MoneyRefusedError, match="Say why"):
        top_up(make_client().pk, USD, actor=SYSTEM, reason="")


def test_a_correction_down_takes_at_most_what_is_available() -> None:
    client = make_client(usd=2)
    hold(client, amount=USD)

    with pytest.raises(MoneyRefusedError, match="1 USD are available"):
        correct_balance(client.pk, -2 * USD, actor=SYSTEM, reason="chargeback")

    correct_balance(client.pk, -USD, actor=SYSTEM, reason="chargeback")
    assert balance(client) == (0, USD, 0, USD)


def test_a_debt_is_written_off_at_our_expense() -> None:
    client = make_client(usd=0, funding="postpaid", credit_line=5 * USD)
    hold(client, amount=3 * USD)
    end(charge=3 * USD, cost=USD)

    booked = forgive_debt(client.pk, actor=SYSTEM, reason="insolvent")

    assert balance(client) == (0, 0, 3 * USD, 3 * USD)
    assert booked.loss == 3 * USD


@pytest.mark.once
@pytest.mark.parametrize(
    "terms",
    [
        {"credit_line": 1},
        {"credit_line": -1, "funding": "postpaid"},
        {"credit_line": LARGEST + 1, "funding": "postpaid"},
        {"low_balance": -1},
        {"funding": "barter"},
        {"billing": "guessed"},
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, object]) -> None:
    client = make_client()

    with pytest.raises(MoneyRefusedError):
        set_terms(client.pk, actor=SYSTEM, **terms)

    assert Account.objects.get(client=client).credit_line == 0


def test_a_credit_line_can_t_fall_below_what_is_owed() -> None:
    client = make_client(usd=0, funding="postpaid", credit_line=5 * USD)
    hold(client, amount=3 * USD)

    with pytest.raises(MoneyRefusedError, match="owes 3 USD"):
        set_terms(client.pk, actor=SYSTEM, credit_line=2 * USD)


def test_changed_terms_are_audited_with_before_and_after() -> None:
    client = make_client()

    set_terms(client.pk, actor=SYSTEM, billing="quoted", reason="contract")

    event = AuditEvent.objects.get(action="account.terms_changed")
    assert (event.before, event.after, event.reason) == ({"billing": "metered"}, {"billing": "quoted"}, "contract")


def test_all_of_it_is_proven(client_charged: object) -> None:
    give_back()
    fix(charge=3 * USD, cost=2 * USD)
    hold(client_charged, "job_2")  # type: ignore[arg-type]

    assert check_ledger() == []
