"""`manage.py create_client`: a client and its key from the command line."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from genfeed.clients.keys import find_caller
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.models import AuditEvent
from pricing.models import Account, LedgerTransaction

pytestmark = pytest.mark.django_db(transaction=True)


def create_client(*arguments: str) -> str:
    out = StringIO()
    call_command("create_client", *arguments, stdout=out)
    return out.getvalue()


def test_it_makes_a_client_and_prints_a_key_that_works() -> None:
    shown = create_client("Acme")

    text = shown.strip().splitlines()[-1]
    caller = find_caller(text)
    assert caller.client_name == "Acme"
    assert caller.scopes == {"models:read", "estimates", "jobs:write", "jobs:read", "usage:read"}
    assert shown.startswith(
        "Client Acme, scopes estimates, jobs:read, jobs:write, models:read, usage:read. The key, shown this once:\n"
    )


def test_json_is_one_line_with_client_and_key() -> None:
    shown = create_client("Acme", "--json")

    assert shown.count("\n") == 1
    answer = json.loads(shown)
    assert list(answer) == ["client", "api_key"]
    assert answer["client"] == "Acme"
    assert find_caller(answer["api_key"]).client_name == "Acme"


def test_the_key_has_the_scopes_that_were_asked_for() -> None:
    create_client("Acme", "--scopes", "admin, models:read,")

    assert ApiKey.objects.get().scopes == ["admin", "models:read"]


def test_an_unknown_scope_is_refused_by_name_and_nothing_is_made() -> None:
    with pytest.raises(CommandError, match=r"^Unknown scope: fly\. Scopes are: models:read, estimates, jobs:write"):
        create_client("Acme", "--scopes", "models:read,fly")

    assert (Client.objects.count(), ApiKey.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)


def test_a_client_that_exists_gets_another_key_and_keeps_the_old_one() -> None:
    first = json.loads(create_client("Acme", "--json"))["api_key"]
    second = json.loads(create_client("Acme", "--json"))["api_key"]

    assert Client.objects.count() == 1
    assert first != second
    assert find_caller(first).client_id == find_caller(second).client_id


def test_the_case_of_a_name_makes_no_second_client() -> None:
    create_client("Acme")

    answer = json.loads(create_client("aCME", "--json"))

    assert answer["client"] == "Acme"
    assert Client.objects.count() == 1


def test_a_test_key_can_be_asked_for() -> None:
    text = json.loads(create_client("Acme", "--test", "--json"))["api_key"]

    assert text.startswith("gf_test_")
    assert ApiKey.objects.get().is_test is True


@pytest.mark.once
@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_must_have_1_to_200_characters(name: str) -> None:
    with pytest.raises(CommandError, match=r"^The name must have 1 to 200 characters\.$"):
        create_client(name)

    assert Client.objects.count() == 0


def test_client_and_key_are_in_the_audit() -> None:
    create_client("Acme")
    create_client("Acme")

    events = AuditEvent.objects.order_by("pk").values_list("action", "actor_name", "after__client")
    assert list(events) == [
        ("client.added", "system", None),
        ("api_key.created", "system", "Acme"),
        ("api_key.created", "system", "Acme"),
    ]


def test_a_key_without_any_scope_is_not_made(db):
    with pytest.raises(CommandError, match="may do nothing"):
        call_command("create_client", "Acme", "--scopes", " , ")
    assert not ApiKey.objects.exists()


def test_it_can_be_made_with_money() -> None:
    answer = json.loads(create_client("Acme", "--balance", "25.50", "--json"))

    assert list(answer) == ["client", "api_key"]
    account = Account.objects.get(client__name="Acme")
    assert (account.available, account.funding) == (25_500_000_000, "prepaid")
    row = LedgerTransaction.objects.get()
    assert (row.kind, row.funded, row.actor_name) == ("top_up", 25_500_000_000, "manage.py create_client")


def test_it_can_be_made_postpaid() -> None:
    create_client("Acme", "--credit-line", "100")

    account = Account.objects.get()
    assert (account.funding, account.credit_line, account.available) == ("postpaid", 100_000_000_000, 0)


@pytest.mark.once
@pytest.mark.parametrize("amount", ["-1", "NaN", "inf", "ten", "", "1e12", "10000000.01"])
def test_an_amount_that_is_none_is_refused_and_nothing_is_made(amount: str) -> None:
    with pytest.raises(CommandError):
        create_client("Acme", f"--balance={amount}")

    assert not Client.objects.exists()


def test_a_prepaid_client_gets_no_credit_line() -> None:
    with pytest.raises(CommandError, match="prepaid"):
        create_client("Acme", "--funding", "prepaid", "--credit-line", "5")

    assert not Client.objects.exists()
