"""Limits in Django's admin; the page People shows beside them what is used."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from webapp.limits.limits import limits_set
from webapp.limits.models import InstallationLimits, LimitValues, PersonLimits


class LimitValuesAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    def save_model(self, request: HttpRequest, obj: LimitValues, form: Any, change: bool) -> None:
        limits_set(obj)


@admin.register(PersonLimits)
class PersonLimitsAdmin(LimitValuesAdmin):
    list_display = ["user", "running_jobs", "queued_jobs", "stored_mb", "uploads_per_minute"]
    search_fields = ["user__username"]


@admin.register(InstallationLimits)
class InstallationLimitsAdmin(LimitValuesAdmin):
    list_display = ["__str__", "running_jobs", "queued_jobs", "stored_mb", "uploads_per_minute"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not InstallationLimits.objects.exists()
