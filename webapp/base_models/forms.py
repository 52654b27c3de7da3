"""The forms by which an admin registers a model folder, and a person names a model of the Hub."""

from pathlib import Path

from django import forms

from webapp.contract.hub import id_problem, revision_problem
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


class HubForm(forms.Form):
    """Which model of the Hub to look at."""

    hub_id = forms.CharField(
        # Any longer one is refused by its form; the limit only keeps the page's answer short.
        max_length=300,
        label="Name on the Hub",
        help_text="As on the model's page: owner/name, for instance HuggingFaceTB/SmolLM2-360M-Instruct.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )
    revision = forms.CharField(
        max_length=300,
        required=False,
        label="Revision (optional)",
        help_text="A commit, tag or branch. Empty: the newest of main.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )

    def clean_hub_id(self) -> str:
        hub_id: str = self.cleaned_data["hub_id"]
        if problem := id_problem(hub_id):
            raise forms.ValidationError(problem)
        return hub_id

    def clean_revision(self) -> str:
        revision: str = self.cleaned_data["revision"] or "main"
        if problem := revision_problem(revision):
            raise forms.ValidationError(problem)
        return revision
