from django.apps import AppConfig


class AdaptersConfig(AppConfig):
    name = "webapp.adapters"
    verbose_name = "Adapters"
