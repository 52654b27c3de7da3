"""Base models in the admin, to look at: folders are registered on the page, where they are checked."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.base_models.models import BaseModel


@admin.register(BaseModel)
class BaseModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["title", "id", "folder", "created_at"]
    search_fields = ["title", "id", "folder"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: BaseModel | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: BaseModel | None = None) -> bool:
        return False
