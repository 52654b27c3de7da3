"""Addresses of the help pages."""

from django.urls import path

from webapp.help import views

urlpatterns = [
    path("", views.index, name="help"),
    path("<slug:slug>", views.page, name="help-page"),
]
