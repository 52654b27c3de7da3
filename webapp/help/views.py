"""The help pages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "help/index.html")


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "help/index.html")
