"""The form by which a person sets their Hub token; it never shows one."""

from django import forms


class HubTokenForm(forms.Form):
    token = forms.RegexField(
        # Visible ASCII: what goes into a header of HTTP as it is.
        regex=r"^[!-~]{8,200}$",
        label="Token",
        error_messages={"invalid": "A token has 8 to 200 characters, without spaces. Copy it again from the Hub."},
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
