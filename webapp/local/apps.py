from django.apps import AppConfig


class LocalConfig(AppConfig):
    name = "webapp.local"
    verbose_name = "The embedded stack"
