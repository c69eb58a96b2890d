"""The id of the request at work: taken over where it is well-formed, else made."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context

import pytest

from genfeed.journal import request_ids

MADE = re.compile(r"req_[0-9a-f]{24}")


@pytest.mark.parametrize("offered", ["abcdefgh", "req_0123", "A-b_c.9-0", "x" * 64])
def test_a_well_formed_id_is_taken_over(offered: str) -> None:
    assert request_ids.begin(offered) == offered
    assert request_ids.current() == offered


@pytest.mark.parametrize(
    "offered",
    [None, "", "short", "x" * 65, "has space", "tab\there", "new\nline", "abcdefgh\n", "<script>", "ümlaut-id"],
)
def test_a_malformed_id_is_replaced(offered: str | None) -> None:
    assert MADE.fullmatch(request_ids.begin(offered))


def test_every_made_id_is_different() -> None:
    assert len({request_ids.begin() for _ in range(100)}) == 100


def test_outside_of_any_work_there_is_no_id() -> None:
    assert Context().run(request_ids.current) == ""


def test_threads_do_not_see_the_ids_of_each_other() -> None:
    request_ids.begin("of-this-thread")

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(Context().run, request_ids.begin, "of-the-other").result() == "of-the-other"

    assert request_ids.current() == "of-this-thread"


def test_the_filter_puts_the_id_on_log_records() -> None:
    request_ids.begin("of-the-log-line")
    record = logging.makeLogRecord({"msg": "hello"})

    assert request_ids.RequestIdFilter().filter(record) is True
    assert record.request_id == "of-the-log-line"
