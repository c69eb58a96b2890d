"""Addresses of the admin's pages, to which alerts lead, for processes that show no page.

With all addresses a dispatcher and a worker would load the whole API, in a third of the time that they take to start.
"""

from django.urls import get_resolver, reverse

_PAGES = "genfeed.admin_urls"


def get_ready() -> None:
    """Reads the addresses before any is asked for: read with the first alert, they would hold up its transaction."""
    _ = get_resolver(_PAGES).url_patterns


def to_page(name: str, *args: object) -> str:
    """The address of the admin page of this name, as "jobs_job_change", of the row with this primary key.

    Raises NoReverseMatch where there is no such page.
    """
    return reverse(f"admin:{name}", urlconf=_PAGES, args=args)
