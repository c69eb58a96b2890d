"""The page of a model's price history: a plot that needs no script, and a table with every change."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as HttpClient
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from pricing.selling.history import Period
from pricing.selling.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plot
from tests.admin.pages import Page
from tests.factories import make_model
from tests.pricing.selling.priced import add_rule, make_priced

pytestmark = pytest.mark.once

NOW = timezone.now()


def period(days_ago: float, amount: str | None, unit: str = "images", until: float | None = None) -> Period:
    price = {"amount": amount, "unit": unit, "currency": "USD", "state": "advertised", "varies": False}
    ends = None if until is None else NOW - timedelta(days=until)
    return Period(NOW - timedelta(days=days_ago), price, amount or "", None, "", ends)


@pytest.mark.django_db
def test_the_page_shows_every_change_newest_first(staff: Callable[[str], HttpClient]) -> None:
    model = make_priced()
    add_rule(rate="0.5")
    answer = staff("viewer").get(f"/admin/pricing/sellingprice/model/{model.pk}/")

    page = Page(answer.content.decode())
    assert [row[2] for row in page.rows if len(row) == 7][1:] == ["0.05 USD per images", "0.083333333 USD per images"]
    assert page.has("svg", "gf-plot")
    assert page.one("path", "gf-plot-price").attributes["d"].startswith("M")


@pytest.mark.django_db
def test_the_model_s_page_leads_to_it(root: HttpClient) -> None:
    model = make_priced()
    page = Page(root.get(f"/admin/catalog/aimodel/{model.pk}/change/").content.decode())

    assert page.has("a", href=f"/admin/pricing/sellingprice/model/{model.pk}/")
    assert "0.083333333 USD per images" in page.text


@pytest.mark.django_db
def test_a_model_without_a_price_has_a_page_without_a_plot(root: HttpClient) -> None:
    page = Page(root.get(f"/admin/pricing/sellingprice/model/{make_model().pk}/").content.decode())

    assert "No selling price was ever known" in page.text
    assert not page.has("svg", "gf-plot")


@pytest.mark.django_db
def test_an_unknown_model_is_not_found(root: HttpClient) -> None:
    assert root.get("/admin/pricing/sellingprice/model/999999/").status_code == 404


def test_a_time_without_a_price_is_a_gap() -> None:
    drawn = plot([period(1, "2"), period(2, None, until=1), period(3, "1", until=2)], now=NOW)

    assert drawn.price_path.count("M") == 2


def test_prices_of_another_unit_are_not_drawn_on_the_same_axis() -> None:
    drawn = plot([period(1, "2", "seconds"), period(2, "900", "videos", until=1)], now=NOW)

    assert (drawn.unit, drawn.y_ticks[-1].words) == ("seconds", "2")


def test_a_price_of_nothing_can_be_drawn() -> None:
    assert plot([period(1, "0")], now=NOW).price_path


@given(st.lists(st.decimals(min_value=0, max_value=10**6, places=9), min_size=1, max_size=12))
def test_every_point_of_a_plot_lies_inside_its_frame(amounts: list[Decimal]) -> None:
    days = len(amounts)
    periods = [period(days - n, str(amount), until=days - n - 1) for n, amount in enumerate(amounts)][::-1]
    numbers = re.findall(r"([ML])([\d.]+) ([\d.]+)H([\d.]+)", plot(periods, now=NOW).price_path)

    assert len(numbers) == days
    for _, begin, level, end in numbers:
        assert LEFT <= float(begin) <= float(end) <= WIDTH - RIGHT
        assert TOP <= float(level) <= HEIGHT - BOTTOM
