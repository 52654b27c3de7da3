"""Includes each app, and says who answers when nobody else could."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

handler400 = "webapp.refusals.bad_request"
handler403 = "webapp.refusals.permission_denied"
handler404 = "webapp.refusals.page_not_found"
handler500 = "webapp.unavailable.server_error"

urlpatterns = [
    path("", include("webapp.home.urls")),
    path("", include("webapp.jobs.urls")),
    path("", include("webapp.adapters.urls")),
    path("", include("webapp.accounts.urls")),
    path("account/webhooks/", include("webapp.webhooks.urls")),
    path("account/hub-token/", include("webapp.hub_tokens.urls")),
    path("datasets/", include("webapp.datasets.urls")),
    path("models/", include("webapp.base_models.urls")),
    path("workers/", include("webapp.workers.urls")),
    path("audit/", include("webapp.audit.urls")),
    path("people/", include("webapp.usage.urls")),
    path("help/", include("webapp.help.urls")),
    # One page checks and sets one's own password, so that its limits hold everywhere.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/", admin.site.urls),
]
