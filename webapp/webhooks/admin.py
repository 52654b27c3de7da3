"""Webhooks and the outbox in the admin, to look at. Secrets and what was told stay with their owners."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.webhooks.models import Notice, Webhook


class _ToLookAt(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Webhook | Notice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Webhook | Notice | None = None) -> bool:
        return False


@admin.register(Webhook)
class WebhookAdmin(_ToLookAt):
    list_display = ["url", "owner", "is_on", "last_status", "last_error", "last_at"]
    list_select_related = ["owner"]
    exclude = ["sealed_secret"]


@admin.register(Notice)
class NoticeAdmin(_ToLookAt):
    list_display = ["id", "topic", "webhook", "created_at", "tries", "delivered_at", "given_up_at", "last_error"]
    list_filter = ["topic", "given_up_at"]
    list_select_related = ["webhook"]
    exclude = ["payload"]
