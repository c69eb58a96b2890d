"""All addresses."""

from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from genfeed import admin_urls, health, playground
from genfeed.api import api
from jobs import webhooks_in
from jobs.assets import serving
from jobs.protocols.agents import views as agents
from pricing.exchange.api import well_known_key

handler500 = "genfeed.crashes.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *admin_urls.urlpatterns,
    path("api/v1/", api.urls),
    path("fal/", include("jobs.protocols.fal.views")),
    path("v1/", include("jobs.protocols.openai.views")),
    path("mcp", agents.serve),
    path("playground", playground.page, name="playground"),
    path("assets/<str:asset_id>/<str:name>", serving.serve),
    path("webhooks/<slug:provider>/<str:job_id>/<str:token>", webhooks_in.receive),
    path("favicon.ico", RedirectView.as_view(url=static("genfeed/icon.svg"))),
    path(".well-known/genfeed-catalog-key", well_known_key),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics_view),
]
