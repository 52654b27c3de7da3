"""The app's name for Django."""

from django.apps import AppConfig


class LimitsConfig(AppConfig):
    name = "webapp.limits"
