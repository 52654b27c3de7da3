"""Addresses of this app."""

from django.urls import path

from webapp.workers import views_join

urlpatterns = [
    path("join", views_join.join, name="worker-join"),
]
