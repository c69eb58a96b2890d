"""Two of each process on one PostgreSQL, and what a machine does to them: the short form of `make faults`."""

import os
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from django.conf import settings

from tests.nodes.scenarios import ALL, SHORT, NotHereError
from tests.nodes.site import Site, running_site
from tests.prepared import OWN_SERVER, own_postgres

# In one worker: a fleet of its own, which all of it shares.
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"), reason="one machine alone"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    migrated = own_postgres(tmp_path_factory, f"like_{os.getpid()}") if OWN_SERVER in os.environ else nullcontext("")
    with migrated as like, running_site(per_second=2, like=like) as running:
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
