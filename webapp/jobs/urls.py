"""Addresses of this app."""

from django.urls import path

from webapp.jobs import views, views_held_out, views_live, views_model_view, views_new, views_verbs

urlpatterns = [
    path("jobs/", views.job_list, name="job-list"),
    path("jobs/new", views_new.new, name="job-new"),
    path("jobs/new/model-view", views_model_view.show, name="job-model-view"),
    path("jobs/<uuid:job_id>", views.detail, name="job-detail"),
    path("jobs/<uuid:job_id>/rows", views_held_out.rows, name="job-rows"),
    path("jobs/<uuid:job_id>/live", views_live.live, name="job-live"),
    path("jobs/<uuid:job_id>/stream", views_live.stream, name="job-stream"),
    path("jobs/<uuid:job_id>/log", views.log, name="job-log"),
    path("jobs/<uuid:job_id>/cancel", views_verbs.cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/pause", views_verbs.pause, name="job-pause"),
    path("jobs/<uuid:job_id>/resume", views_verbs.resume, name="job-resume"),
    path("jobs/<uuid:job_id>/keep", views_verbs.keep, name="job-keep"),
    path("jobs/<uuid:job_id>/retry", views_verbs.retry, name="job-retry"),
    path("jobs/<uuid:job_id>/move-away", views_verbs.move_away, name="job-move-away"),
    path("jobs/<uuid:job_id>/priority", views_verbs.priority, name="job-priority"),
    path("jobs/<uuid:job_id>/move", views_verbs.move, name="job-move"),
    path("jobs/<uuid:job_id>/delete", views_verbs.delete, name="job-delete"),
]
