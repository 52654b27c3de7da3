"""What a person says about an uploaded file: its name and which column is what."""

from collections.abc import Sequence
from typing import Any

from django import forms

from webapp.datasets.mapping import Mapping
from webapp.datasets.names import MAX_DATASET_NAME, name_cleaned


class NameForm(forms.Form):
    """The dataset's name."""

    name = forms.CharField(max_length=MAX_DATASET_NAME, label="Name of the dataset")

    def clean_name(self) -> str:
        name = name_cleaned(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError("Give it a name one can see.")
        return name


class PairsForm(forms.Form):
    """One column goes in, another should come out."""

    input = forms.ChoiceField(label="Input", help_text="What the model reads.")
    output = forms.ChoiceField(label="Output", help_text="What it should answer, or the label.")

    def __init__(self, columns: Sequence[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, columns)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("input") and cleaned.get("input") == cleaned.get("output"):
            self.add_error("output", "Input and output are the same column. Choose two different ones.")
        return cleaned


class ChatForm(forms.Form):
    """A column of whole conversations."""

    messages = forms.ChoiceField(label="Conversation", help_text="A list of messages; the last is the answer to learn.")

    def __init__(self, columns: Sequence[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, columns)


def roles_form(columns: Sequence[str], sent: Any) -> PairsForm | ChatForm:
    """The form for what was sent: conversations if `messages` is among it. Once valid, its data is the mapping."""
    form = ChatForm if sent.get("messages") else PairsForm
    return form(columns, sent)


def roles_form_for(columns: Sequence[str], mapping: Mapping) -> PairsForm | ChatForm:
    """The form filled with a mapping."""
    return roles_form(columns, mapping)


def _offer(form: forms.Form, columns: Sequence[str]) -> None:
    for field in form.fields.values():
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(column, column) for column in columns]
        field.error_messages["invalid_choice"] = "The file has no column “%(value)s”. Choose one of the list."
