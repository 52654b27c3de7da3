"""Addresses of this app."""

from django.urls import path

from webapp.jobs import views, views_live, views_new

urlpatterns = [
    path("jobs/", views.job_list, name="job-list"),
    path("jobs/new", views_new.new, name="job-new"),
    path("jobs/<uuid:job_id>", views.detail, name="job-detail"),
    path("jobs/<uuid:job_id>/live", views_live.live, name="job-live"),
    path("jobs/<uuid:job_id>/stream", views_live.stream, name="job-stream"),
    path("jobs/<uuid:job_id>/log", views.log, name="job-log"),
    path("jobs/<uuid:job_id>/cancel", views.cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/delete", views.delete, name="job-delete"),
]
