"""What an admin can look for in the audit log."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import Q

from webapp.audit.models import AuditEntry, AuditQuerySet, Outcome


class SearchForm(forms.Form):
    """Every field is optional; those that are filled in must all hold."""

    actor = forms.CharField(label="Who", required=False, max_length=200, help_text="The whole user name.")
    action = forms.ChoiceField(label="Action", required=False)
    outcome = forms.ChoiceField(label="Outcome", required=False, choices=[("", "Any"), *Outcome.choices])
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    text = forms.CharField(
        label="Text", required=False, max_length=200, help_text="Part of a name, an id, an address or a detail."
    )

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        actions = AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()
        self.fields["action"].choices = [("", "Any"), *((name, name) for name in actions)]  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs.update(autocomplete="off", autocapitalize="off", spellcheck="false")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "This day is before the first one. Choose a later one.")
        return cleaned

    def entries(self) -> AuditQuerySet:
        """The newest first. Of a form with errors, nothing."""
        if not self.is_valid():
            return AuditEntry.objects.none()
        asked = self.cleaned_data
        found = AuditEntry.objects.all()
        for name in ("actor", "action", "outcome"):
            if asked[name]:
                found = found.filter(**{name: asked[name]})
        if asked["since"]:
            found = found.filter(at__gte=_midnight(asked["since"]))
        if asked["until"]:
            found = found.filter(at__lt=_midnight(asked["until"] + timedelta(days=1)))
        if asked["text"]:
            found = found.filter(_holds(asked["text"].strip()))
        return found


def _midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _holds(text: str) -> Q:
    """Somewhere among the texts of an entry."""
    found = Q()
    for name in ("object_name", "object_id", "object_kind", "address", "detail"):
        found |= Q(**{f"{name}__icontains": text})
    return found
