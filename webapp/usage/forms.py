"""The form by which an admin sets limits, of everyone or of one person."""

from typing import Any

from django import forms

from webapp.limits.limits import Limits, installation_limits
from webapp.limits.models import InstallationLimits, LimitValues, PersonLimits
from webapp.shown import megabytes

MOST = 100_000_000
LABELS = {
    "queued_jobs": "Waiting and paused jobs",
    "stored_mb": "Stored, in MB",
    "uploads_per_minute": "Uploads within a minute",
}
FIELDS = ["running_jobs", "queued_jobs", "stored_mb", "uploads_per_minute"]


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is left empty stays with the wider rule, whose value stands in the field."""

    def __init__(self, *words: Any, inherited: Limits, **named: Any) -> None:
        super().__init__(*words, **named)
        values = [str(number or "no limit") for number in inherited]
        values[FIELDS.index("stored_mb")] = megabytes(inherited.stored_bytes) if inherited.stored_bytes else "no limit"
        for name, value in zip(FIELDS, values, strict=True):
            field = self.fields[name]
            field.max_value = MOST  # type: ignore[attr-defined]
            field.validators.append(forms.IntegerField(max_value=MOST).validators[-1])
            field.widget.attrs |= {"placeholder": f"Default: {value}", "inputmode": "numeric", "max": MOST}


class PersonLimitsForm(LimitsForm):
    class Meta:
        model = PersonLimits
        fields = FIELDS
        labels = LABELS


class InstallationLimitsForm(LimitsForm):
    class Meta:
        model = InstallationLimits
        fields = FIELDS
        labels = LABELS


def form_for(row: LimitValues, data: Any) -> LimitsForm:
    if isinstance(row, PersonLimits):
        return PersonLimitsForm(data, instance=row, inherited=installation_limits())
    return InstallationLimitsForm(data, instance=row, inherited=installation_limits(own=False))
