"""The playground: a page on which whoever has a key tries models, by the same API as any other program.

The page is the same for all, and knows nothing of who asks: its script calls the API with the key that is pasted there.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

# Files and events are at PUBLIC_URL, which need not be the address by which the page was opened.
_OURS: list[str] = [CSP.SELF, *([settings.PUBLIC_URL.rstrip("/") + "/"] if settings.PUBLIC_URL else [])]
POLICY: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": _OURS,
    "media-src": _OURS,
    "connect-src": _OURS,
    # The script sends what is sent; without it a form would put a key into an address.
    "form-action": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}


@require_safe
@csp_override(POLICY)
def page(request: HttpRequest) -> HttpResponse:
    """The page itself; `?model=ID` chooses a model, which the script reads."""
    return render(request, "playground.html")
