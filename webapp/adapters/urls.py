"""Addresses of this app."""

from django.urls import path

from webapp.adapters import views

urlpatterns = [
    path("", views.adapter_list, name="adapter-list"),
    path("<uuid:adapter_id>", views.detail, name="adapter-detail"),
    path("versions/<uuid:version_id>/download", views.download, name="adapter-download"),
]
