"""Errands in the admin site: to look at, not to change."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.errands.models import Errand


@admin.register(Errand)
class ErrandAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "kind", "asked_by", "state", "worker", "attempt", "created_at"]
    list_filter = ["kind", "state"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Errand | None = None) -> bool:
        return False
