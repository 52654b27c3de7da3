"""Workers in the admin: what they tell is to be looked at, labels and slots can be set, and the verbs are actions."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from webapp.clock import database_now
from webapp.workers.models import Worker
from webapp.workers.rules import Refused, labels_read, slots_check
from webapp.workers.services import worker_drain, worker_pause, worker_resume, worker_retire, worker_set


class WorkerAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what the rules refuse, beside the field."""

    class Meta:
        model = Worker
        fields = ["labels", "slots"]

    def clean_labels(self) -> list[str]:
        labels = self.cleaned_data["labels"] or []
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise forms.ValidationError('Give a list of words, as ["fast", "eu"].')
        try:
            return labels_read(labels)
        except Refused as error:
            raise forms.ValidationError(str(error)) from error

    def clean_slots(self) -> int:
        slots: int = self.cleaned_data["slots"]
        if slots == self.instance.slots == 0:
            return 0  # Still open: decided when it first starts.
        try:
            return slots_check(slots, self.instance.devices, self.instance.num_cores)
        except Refused as error:
            raise forms.ValidationError(str(error)) from error


_TOLD = (
    "health", "intent", "host", "pid", "version", "recipe_version", "num_cores", "devices_json", "created_at",
    "started_at", "heartbeat_at", "stopped_at",
)  # fmt: skip


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows come from workers that register and from the page “Add a worker”; they are retired, never deleted."""

    form = WorkerAdminForm
    list_display = ["name", "health", "intent", "host", "version", "slots", "labels", "heartbeat_at"]
    list_filter = ["intent", "version"]
    search_fields = ["name", "host", "labels"]
    readonly_fields = ["name", *_TOLD]
    fieldsets = [(None, {"fields": ("name", "labels", "slots")}), ("What it tells", {"fields": _TOLD})]
    actions = ["pause", "resume", "drain", "retire"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Worker, form: Any, change: bool) -> None:
        worker_set(obj.id, labels=form.cleaned_data["labels"], slots=form.cleaned_data["slots"])

    @admin.display(description="Health")
    def health(self, worker: Worker) -> str:
        return str(worker.health(database_now()).label)

    @admin.action(description="Pause: take no new job, what runs goes on", permissions=["change"])
    def pause(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._steer(request, workers, worker_pause, "paused")

    @admin.action(description="Resume: take jobs again", permissions=["change"])
    def resume(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._steer(request, workers, worker_resume, "resumed")

    @admin.action(description="Drain: hand running jobs to other workers", permissions=["change"])
    def drain(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._steer(request, workers, worker_drain, "drained")

    @admin.action(description="Retire: drain, end, and never come back under this name", permissions=["change"])
    def retire(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._steer(request, workers, worker_retire, "retired")

    def _steer(
        self, request: HttpRequest, workers: QuerySet[Worker], service: Callable[[UUID], bool], done: str
    ) -> None:
        done_or_not = [service(worker.id) for worker in workers]
        num_done, left = done_or_not.count(True), done_or_not.count(False)
        rest = f" {left} stayed as they were: there already, or retired." if left else ""
        self.message_user(request, f"{num_done} {done}.{rest}", messages.WARNING if left else messages.SUCCESS)
