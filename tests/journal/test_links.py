"""Alerts lead to pages of the admin, also from processes that show none."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.urls import NoReverseMatch, reverse

from genfeed.journal import links

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = [file for app in ("catalog", "genfeed", "jobs", "pricing") for file in sorted((ROOT / app).rglob("*.py"))]
CALL = re.compile(r"\blinks\.to_page\(\s*['\"](\w+)['\"](,)?")


def test_every_page_that_is_linked_to_has_the_address_at_which_it_is_served():
    linked = {(name, bool(comma)) for file in CODE for name, comma in CALL.findall(file.read_text())}
    assert len(linked) > 10
    for name, of_a_row in sorted(linked):
        arguments = [7] if of_a_row else []
        assert links.to_page(name, *arguments) == reverse(f"admin:{name}", args=arguments)


def test_a_page_that_there_is_not_is_refused():
    with pytest.raises(NoReverseMatch):
        links.to_page("jobs_job_nonsense")


def test_only_pages_ask_for_addresses_by_the_table_of_all_of_them():
    """Elsewhere that would load the whole API, in the middle of a transaction: `links.to_page` doesn't."""
    own = {Path("genfeed/journal/links.py"), Path("genfeed/admin_site.py")}
    asking = {file.relative_to(ROOT) for file in CODE if re.search(r"(?<![\w.])reverse\(", file.read_text())} - own
    assert {str(file) for file in asking if "admin" not in file.as_posix()} == set()


@pytest.mark.parametrize("module", ["genfeed.management.commands.qcluster", "jobs.management.commands.dispatch"])
def test_a_process_that_answers_no_requests_loads_no_api(module: str):
    code = f"""
import sys, django
django.setup()
import {module}
from genfeed.journal import links
links.get_ready()
links.to_page("jobs_job_changelist")
print([name for name in ("genfeed.api", "genfeed.urls", "jobs.api") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
