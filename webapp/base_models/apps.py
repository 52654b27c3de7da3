from django.apps import AppConfig


class BaseModelsConfig(AppConfig):
    name = "webapp.base_models"
    verbose_name = "Base models"
