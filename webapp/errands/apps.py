from django.apps import AppConfig


class ErrandsConfig(AppConfig):
    name = "webapp.errands"
    verbose_name = "Errands"
