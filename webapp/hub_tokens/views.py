"""One's Hub token: set, replaced, deleted; never shown."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.models import User
from webapp.hub_tokens.forms import HubTokenForm
from webapp.hub_tokens.models import HubToken
from webapp.hub_tokens.services import hub_token_delete, hub_token_opens, hub_token_set


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def hub_token(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = HubTokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        hub_token_set(request.user, form.cleaned_data["token"])
        messages.success(request, "Your Hub token is kept, sealed. It is used when you look at or fetch a model.")
        return redirect("hub-token")
    token = HubToken.objects.filter(user=request.user).first()
    context = {"form": form, "token": token, "is_lost": token is not None and not hub_token_opens(token)}
    return render(request, "hub_tokens/hub_token.html", context, status=400 if form.is_bound else 200)


@require_POST
def delete(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    hub_token_delete(request.user)
    messages.success(request, "Your Hub token is deleted here. To make it worthless, revoke it on the Hub as well.")
    return redirect("hub-token")
