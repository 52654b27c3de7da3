"""Coming in, going out, and one's own account."""

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from webapp.accounts.forms import FirstAdminForm, OwnPasswordForm, SignInForm
from webapp.accounts.models import SignInLink, User
from webapp.accounts.services import LinkIsSpent, sign_in_link_use
from webapp.accounts.throttle import attempt_begin
from webapp.audit.recording import settle

_BACKEND = "webapp.accounts.backends.ThrottledBackend"


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@method_decorator(login_not_required, name="dispatch")
class SignOut(LogoutView):
    """POST only, as Django has it; someone whose session ended meanwhile is simply out."""

    http_method_names = ["post", "options"]


@login_not_required
@never_cache
@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "POST"])
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """A one-time link. Looking changes nothing; only the button uses the link up."""
    attempt = attempt_begin(request, "one-time link")
    link = SignInLink.objects.usable(token).select_related("user").first()
    if link is None:
        attempt.failed()
        return _spent(request)
    attempt.succeeded()
    if link.user is not None:
        return _enter_as(request, token, link.user)
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _enter(request, token, form.cleaned_data["username"], form.cleaned_data["password"])
    return render(request, "accounts/welcome_first.html", {"form": form})


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who one is, and a new password; other browsers are signed out by it, this one stays."""
    assert isinstance(request.user, User)
    form = OwnPasswordForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            settle(user)
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Other browsers were signed out.")
        return redirect("account")
    return render(request, "accounts/account.html", {"form": form})


def _enter_as(request: HttpRequest, token: str, user: User) -> HttpResponse:
    if request.method == "POST":
        return _enter(request, token)
    return render(request, "accounts/welcome_back.html", {"person": user})


def _enter(request: HttpRequest, token: str, username: str = "", password: str = "") -> HttpResponse:
    try:
        user = sign_in_link_use(token, username=username, password=password)
    except LinkIsSpent:
        return _spent(request)
    login(request, user, backend=_BACKEND)
    return redirect("home")


def _spent(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/welcome_spent.html", status=410)
