"""Addresses of this app."""

from django.urls import path

from webapp.adapters import views, views_report

urlpatterns = [
    path("adapters/", views.adapter_list, name="adapter-list"),
    path("adapters/<uuid:adapter_id>", views.detail, name="adapter-detail"),
    path("adapters/versions/<uuid:version_id>/download", views.download, name="adapter-download"),
    path("jobs/<uuid:job_id>/report", views_report.report, name="job-report"),
]
