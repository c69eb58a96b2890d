"""What whoever mistypes the address of a page is shown; below /api/ all answers are JSON (tests/api/test_errors.py)."""

import re

from django.test import Client as HttpClient


def test_a_wrong_address_leads_to_the_right_ones_without_asking_the_database() -> None:
    answer = HttpClient().get("/plaground")

    page = answer.content.decode()
    assert answer.status_code == 404
    assert set(re.findall(r'<a href="(.*?)"', page)) == {"/api/v1/docs", "/playground", "/admin/"}
    assert "plaground" not in page
