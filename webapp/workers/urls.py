"""Addresses of this app."""

from django.urls import path

from webapp.workers import views, views_join

urlpatterns = [
    path("", views.worker_list, name="worker-list"),
    path("add", views.add, name="worker-add"),
    path("join", views_join.join, name="worker-join"),
    path("<uuid:worker_id>", views.worker_detail, name="worker-detail"),
    path("<uuid:worker_id>/token", views.new_token, name="worker-token"),
    path("<uuid:worker_id>/tokens/<int:token_id>/revoke", views.revoke_token, name="join-token-revoke"),
    path("<uuid:worker_id>/<str:verb>", views.steer, name="worker-steer"),
]
