"""Addresses of this app."""

from django.urls import path

from webapp.base_models import views

urlpatterns = [
    path("", views.base_model_list, name="base-model-list"),
    path("register", views.register, name="base-model-register"),
    path("<str:model_id>/remove", views.remove, name="base-model-remove"),
]
