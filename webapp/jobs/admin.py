"""Jobs in the admin, to look at: only the services may change what a job is."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.jobs.models import Job, JobEvent


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that services alone may make, change and delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ["name", "state", "attempt", "owner", "base_model", "created_at", "heartbeat_at", "finished_at"]
    list_filter = ["state"]
    list_select_related = ["owner", "base_model"]
    search_fields = ["id", "name", "owner__username"]
    date_hierarchy = "created_at"


@admin.register(JobEvent)
class JobEventAdmin(ReadOnly):
    list_display = ["job", "seq", "attempt", "at", "kind"]
    list_filter = ["kind"]
    list_select_related = ["job"]
    search_fields = ["job__id", "job__name"]
