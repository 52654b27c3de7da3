"""Adapters in the admin, to look at."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.adapters.models import Adapter, AdapterVersion


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adapters come from jobs alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Adapter)
class AdapterAdmin(_ReadOnly):
    list_display = ["name", "owner", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]


@admin.register(AdapterVersion)
class AdapterVersionAdmin(_ReadOnly):
    list_display = ["adapter", "number", "size_bytes", "zip_sha256", "created_at"]
    list_select_related = ["adapter"]
    search_fields = ["adapter__name"]
