"""Includes each app, and says who answers when nobody else could."""

from django.contrib import admin
from django.urls import include, path

handler500 = "webapp.unavailable.server_error"

urlpatterns = [
    path("", include("webapp.home.urls")),
    path("", include("webapp.jobs.urls")),
    path("", include("webapp.accounts.urls")),
    path("account/webhooks/", include("webapp.webhooks.urls")),
    path("datasets/", include("webapp.datasets.urls")),
    path("models/", include("webapp.base_models.urls")),
    path("adapters/", include("webapp.adapters.urls")),
    path("workers/", include("webapp.workers.urls")),
    path("help/", include("webapp.help.urls")),
    path("admin/", admin.site.urls),
]
