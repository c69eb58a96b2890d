"""What follows from sums: rates, and latencies out of histograms that add up."""

from bisect import bisect_left
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pricing.models.reports import BOUNDS, BUCKETS
from pricing.reports.charts import bars, course
from pricing.reports.figures import Figures, change, total

SECONDS = st.lists(st.floats(0.1, 4000), min_size=1, max_size=60)


def timed(seconds: list[float]) -> Figures:
    sums = dict.fromkeys(BUCKETS, 0)
    for one in seconds:
        sums[BUCKETS[bisect_left(BOUNDS, one)]] += 1
    return Figures({"timed": len(seconds), **sums})


@given(SECONDS, st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_off_by_no_more_than_its_bucket_is_wide(seconds: list[float], part: float) -> None:
    exact = sorted(seconds)[-(-len(seconds) * int(part * 100) // 100) - 1]
    told = timed(seconds).quantile(part)
    assert told is not None
    assert exact / 1.61 <= told <= exact * 1.61


@given(SECONDS, SECONDS)
def test_histograms_of_two_days_add_up_to_that_of_both(one: list[float], other: list[float]) -> None:
    assert total([timed(one), timed(other)]).p95 == timed(one + other).p95


def test_who_cancels_says_nothing_about_success() -> None:
    assert Figures({"jobs": 10, "succeeded": 3, "failed": 1, "canceled": 6}).success_rate == Decimal("0.75")


def test_nothing_has_no_rates() -> None:
    nothing = Figures({})
    assert (nothing.margin_rate, nothing.success_rate, nothing.p50, nothing.seconds, nothing.deviation) == (None,) * 5


def test_from_nothing_there_is_no_change_in_percent() -> None:
    assert change(5, 0) is None
    assert change(3, 2) == Decimal("0.5")


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), max_size=100))
def test_every_column_stays_inside_the_chart(steps: list[tuple[int, int]]) -> None:
    chart = course("x", [("d", revenue, cost) for revenue, cost in steps])
    for box in chart.boxes:
        assert box.x >= 0
        assert box.x + box.width <= chart.width + 0.2
        assert box.y >= 0
        assert box.y + box.height <= chart.height


def test_a_loss_is_drawn_as_one() -> None:
    assert {box.look for box in bars("x", [("a", 5), ("b", -5)]).boxes} == {"margin", "loss"}
    assert [box.look for box in course("x", [("d", 1, 3)]).boxes] == ["cost", "loss"]
