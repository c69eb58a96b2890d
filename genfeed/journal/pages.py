"""Building blocks of the admin pages of all floors."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString


def badge(words: str, look: str = "", title: str = "") -> SafeString:
    """A small label; `look` is good, warn, bad or nothing."""
    return format_html('<span class="gf-badge{}" title="{}">{}</span>', f" gf-{look}" if look else "", title, words)


def posted_text(request: HttpRequest, name: str = "reason") -> str:
    """One line of a posted form, trimmed; without null characters, which no database takes."""
    return request.POST.get(name, "").replace("\x00", "").strip()


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows are made and changed by the system; people look."""

    actions: Any = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
