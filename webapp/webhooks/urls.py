"""Addresses of this app."""

from django.urls import path

from webapp.webhooks import views

urlpatterns = [
    path("", views.webhook_list, name="webhook-list"),
    path("<uuid:webhook_id>/switch", views.switch, name="webhook-switch"),
    path("<uuid:webhook_id>/delete", views.delete, name="webhook-delete"),
    path("<uuid:webhook_id>/test", views.test, name="webhook-test"),
    path("deliveries/<uuid:notice_id>/retry", views.retry, name="notice-retry"),
]
