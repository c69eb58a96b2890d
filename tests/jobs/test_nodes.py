"""Two of each process on one PostgreSQL, and what a machine does to them: the short form of `make faults`."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from tests.nodes.scenarios import ALL, SHORT, NotHereError
from tests.nodes.site import Site, running_site

# In one worker: a fleet of its own, which all of it shares.
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"), reason="one machine alone"),
]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(per_second=4) as running:
        yield running


@pytest.mark.parametrize("name", ["killed", "paused", "database", "disk"])
def test_nothing_is_lost_and_nothing_doubled(site: Site, name: str) -> None:
    site.load.flow()
    try:
        ALL[name](site, SHORT)
    except NotHereError as error:
        pytest.skip(str(error))

    _, problems = site.prove()

    assert problems == []


def test_both_of_each_have_done_their_share(site: Site) -> None:
    webs, dispatchers = site.load.by_web, site.ended_by()

    assert min(webs[one] for one in site.fleet.base_urls) > 0.1 * webs.total(), webs
    assert min(dispatchers.values()) > 0.05 * sum(dispatchers.values()), dispatchers
