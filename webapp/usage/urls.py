"""Addresses of this app."""

from django.urls import path

from webapp.usage import views

urlpatterns = [
    path("", views.people, name="people"),
    path("everyone", views.limits_of_everyone, name="limits-everyone"),
    path("<int:user_id>", views.limits_of_person, name="limits-person"),
]
