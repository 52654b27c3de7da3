"""Addresses of this app."""

from django.urls import path

from webapp.hub_tokens import views

urlpatterns = [
    path("", views.hub_token, name="hub-token"),
    path("delete", views.delete, name="hub-token-delete"),
]
