"""Jobs in the admin: to look at, and with the services as actions; nothing else may change what a job is."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from webapp.jobs.models import Job, JobAttempt, JobEvent, Priority
from webapp.jobs.services import AlreadyOver, job_cancel, job_pause, job_priority_set, job_resume


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
    list_display = [
        "name", "state", "asked", "priority", "attempt", "owner", "worker", "created_at", "heartbeat_at", "finished_at",
    ]  # fmt: skip
    list_filter = ["state", "priority", "worker"]
    list_select_related = ["owner", "worker"]
    search_fields = ["id", "name", "owner__username"]
    date_hierarchy = "created_at"
    actions = ["cancel", "pause", "resume", "priority_high", "priority_normal"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Who may change jobs may act on them; the form itself stays closed."""
        return request.user.has_perm("jobs.change_job")

    @admin.action(description="Cancel: nothing is kept", permissions=["steer"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._do(request, jobs, job_cancel, "cancelled or asked to stop")

    @admin.action(description="Pause: save a checkpoint and wait", permissions=["steer"])
    def pause(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._do(request, jobs, job_pause, "paused or asked to pause")

    @admin.action(description="Resume: back into the queue", permissions=["steer"])
    def resume(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._do(request, jobs, job_resume, "resumed")

    @admin.action(description="Priority: high", permissions=["steer"])
    def priority_high(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._do(request, jobs, lambda job: job_priority_set(job, Priority.HIGH), "given high priority")

    @admin.action(description="Priority: normal", permissions=["steer"])
    def priority_normal(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._do(request, jobs, lambda job: job_priority_set(job, Priority.NORMAL), "given normal priority")

    def _do(self, request: HttpRequest, jobs: QuerySet[Job], service: Callable[[Job], None], done: str) -> None:
        num_done = num_left = 0
        for job in jobs:
            try:
                service(job)
                num_done += 1
            except AlreadyOver:
                num_left += 1
        rest = f" {num_left} stayed as they were: it was too late, or not the time." if num_left else ""
        self.message_user(request, f"{num_done} {done}.{rest}", messages.WARNING if num_left else messages.SUCCESS)


@admin.register(JobEvent)
class JobEventAdmin(ReadOnly):
    list_display = ["job", "seq", "attempt", "at", "kind"]
    list_filter = ["kind"]
    list_select_related = ["job"]
    search_fields = ["job__id", "job__name"]


@admin.register(JobAttempt)
class JobAttemptAdmin(ReadOnly):
    list_display = ["job", "number", "worker", "started_at", "ended_at", "outcome", "exit_code"]
    list_filter = ["outcome", "worker"]
    list_select_related = ["job", "worker"]
    search_fields = ["job__id", "job__name", "reason"]
