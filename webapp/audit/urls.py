"""Addresses of this app."""

from django.urls import path

from webapp.audit import views

urlpatterns = [
    path("", views.entries, name="audit-log"),
    path("export", views.export, name="audit-export"),
]
