"""Addresses of this app."""

from django.urls import path

from webapp.base_models import views, views_hub

urlpatterns = [
    path("", views.base_model_list, name="base-model-list"),
    path("register", views.register, name="base-model-register"),
    path("add", views_hub.add, name="base-model-add"),
    path("looks/<uuid:errand_id>", views_hub.look, name="base-model-look"),
    path("looks/<uuid:errand_id>/again", views_hub.look_again, name="base-model-look-again"),
    path("looks/<uuid:errand_id>/fetch", views_hub.fetch, name="base-model-fetch"),
    path("fetches/<uuid:errand_id>/stop", views_hub.fetch_stop, name="base-model-fetch-stop"),
    path("fetches/<uuid:errand_id>/retry", views_hub.fetch_retry, name="base-model-fetch-retry"),
    path("fetches/<uuid:errand_id>/forget", views_hub.fetch_forget, name="base-model-fetch-forget"),
    path("<str:model_id>/remove", views.remove, name="base-model-remove"),
]
