"""The form by which an admin registers a model folder."""

from pathlib import Path

from django import forms

from webapp.contract.model_config import NotABaseModel
from webapp.contract.model_folder import FolderReport, read_model_folder


class FolderForm(forms.Form):
    """A folder on the server and what to call it. Once valid, `report` says what the folder holds."""

    folder = forms.CharField(
        max_length=1000,
        label="Folder on this server",
        help_text="The whole path, as in /srv/models/smollm2-360m. It is read where it lies, never copied or changed.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off"}),
    )
    title = forms.CharField(max_length=100, label="Title", help_text="What people see when they choose a base model.")

    report: FolderReport

    def clean_folder(self) -> str:
        folder = Path(self.cleaned_data["folder"])
        if not folder.is_absolute():
            raise forms.ValidationError("Give the whole path, beginning with a slash.")
        try:
            self.report = read_model_folder(folder)
        except NotABaseModel as error:
            raise forms.ValidationError(str(error)) from error
        except OSError as error:
            raise forms.ValidationError(f"The folder cannot be read: {error.strerror}.") from error
        return str(folder)
