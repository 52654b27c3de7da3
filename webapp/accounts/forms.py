"""What a person types about their own account."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpRequest

from webapp.accounts.models import User
from webapp.accounts.throttle import attempt_begin

_PASSWORD_HELP = "At least 12 characters; a few unrelated words are easy to keep in mind."


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "User name and password do not match. Mind upper and lower case, then try again.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"


class FirstAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """The account made through the first link: a name and a password, told twice against slips of the finger."""

    password = forms.CharField(
        label="Password",
        strip=False,
        help_text=_PASSWORD_HELP,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    password_again = forms.CharField(
        label="Password again", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    class Meta:
        model = User
        fields = ["username"]
        labels = {"username": "User name"}
        help_texts = {"username": "Letters, digits and @ . + - _"}
        widgets = {"username": forms.TextInput(attrs={"autocomplete": "username", "autofocus": True})}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        password, again = cleaned.get("password"), cleaned.get("password_again")
        if password and again and password != again:
            self.add_error("password_again", "The two passwords differ. Type the same one again.")
        if password:
            self._check_strength(password)
        return cleaned

    def _check_strength(self, password: str) -> None:
        try:
            password_validation.validate_password(password, User(username=self.cleaned_data.get("username", "")))
        except forms.ValidationError as error:
            self.add_error("password", error)


class OwnPasswordForm(PasswordChangeForm):
    """The present password, and a new one twice."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        assert isinstance(request.user, User)
        super().__init__(request.user, *args, **kwargs)
        self.request = request
        self.fields["old_password"].label = "Present password"
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["new_password1"].help_text = _PASSWORD_HELP
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""

    def clean_old_password(self) -> str:
        """A borrowed session must not serve to find out the password. Raises TooManyAttempts."""
        attempt = attempt_begin(self.request, "sign-in", self.user.get_username())
        try:
            password = super().clean_old_password()
        except forms.ValidationError:
            attempt.failed()
            raise
        attempt.succeeded()
        return password
