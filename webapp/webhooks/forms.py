"""The address a person wants to be told at."""

from django import forms

from webapp.webhooks.address import Refused, target_of


class WebhookForm(forms.Form):
    """Judged as it will be at every sending, so that a bad address is told of at once."""

    url = forms.CharField(
        max_length=500,
        label="Address",
        help_text="Where a POST with JSON goes whenever one of your jobs ends or pauses, as in https://example.com/hook.",
        widget=forms.URLInput(attrs={"spellcheck": "false", "autocapitalize": "off", "inputmode": "url"}),
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            target_of(url, seconds=5)
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from refused
        return url
