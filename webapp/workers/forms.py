"""The forms by which an admin adds a worker and says what it may do."""

from typing import Any

from django import forms

from webapp.workers.join_tokens import DEFAULT_HOURS, LIFETIMES
from webapp.workers.models import Worker
from webapp.workers.rules import MOST_SLOTS, Refused, labels_read, name_read, slots_check


class WorkerForm(forms.Form):
    """Labels and slots of a worker. Both refuse beside the field, in the words of the rules."""

    labels = forms.CharField(
        required=False,
        max_length=400,
        help_text="Words that a job can require, with commas between: fast, eu. None are needed.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )
    slots = forms.IntegerField(
        required=False, widget=forms.NumberInput(attrs={"min": 1, "max": MOST_SLOTS, "inputmode": "numeric"})
    )

    def __init__(self, *words: Any, worker: Worker | None = None, **named: Any) -> None:
        """`worker`: whose devices bound the slots; None where nothing is known of it yet."""
        self.worker = worker
        if worker is not None:
            named.setdefault("initial", {"labels": ", ".join(worker.labels), "slots": worker.slots or None})
        super().__init__(*words, **named)
        self.fields["slots"].help_text = _slots_help(worker)
        self.fields["slots"].required = bool(worker and worker.slots)

    def clean_labels(self) -> list[str]:
        try:
            return labels_read(self.cleaned_data["labels"].split(","))
        except Refused as error:
            raise forms.ValidationError(str(error)) from error

    def clean_slots(self) -> int:
        """0 where it was left open."""
        slots: int | None = self.cleaned_data["slots"]
        if slots is None:
            return 0
        try:
            return slots_check(slots, self.worker.devices if self.worker else (), _cores(self.worker))
        except Refused as error:
            raise forms.ValidationError(str(error)) from error


class TokenForm(forms.Form):
    """How long a join token can be used."""

    hours = forms.ChoiceField(
        label="The token can be used for", required=False, initial=DEFAULT_HOURS, choices=list(LIFETIMES.items())
    )

    def clean_hours(self) -> int:
        return int(self.cleaned_data["hours"] or DEFAULT_HOURS)


class WorkerAddForm(TokenForm, WorkerForm):
    field_order = ["name", "labels", "slots", "hours"]

    name = forms.CharField(
        max_length=100,
        help_text="What it is called here, as gpu-box-1. It cannot be changed later.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        try:
            return name_read(self.cleaned_data["name"])
        except Refused as error:
            raise forms.ValidationError(str(error)) from error


def _cores(worker: Worker | None) -> int:
    return worker.num_cores if worker else 0


def _slots_help(worker: Worker | None) -> str:
    if worker is None or not worker.slots:
        return "How many jobs it runs at once. Leave it empty for one a GPU, or one on a machine without."
    if any(device.kind == "gpu" for device in worker.devices):
        return "How many jobs it runs at once, each on a GPU of its own."
    return "How many jobs it runs at once. They share the cores, so two run slower than one after the other."
