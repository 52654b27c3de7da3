"""The fragment “What the model will see” of the page “New job”; it asks for itself until there is an answer."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET
from pydantic import ValidationError

from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.datasets.models import Dataset, DatasetVersion
from webapp.jobs.continuing import start_find
from webapp.jobs.model_view import Question, model_view


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    try:
        question = Question.model_validate(request.GET.dict())
    except ValidationError as error:
        raise Http404 from error
    mine = DatasetVersion.objects.filter(dataset__in=Dataset.objects.visible_to(request.user))
    version = get_object_or_404(mine, id=question.dataset)
    base_model = get_object_or_404(BaseModel.objects.visible_to(request.user), id=question.base_model)
    if question.start_adapter is not None and start_find(request.user, str(question.start_adapter)) is None:
        raise Http404
    context = {
        "shown": model_view(request.user, question, version, base_model),
        "question": question,
        "address": question.address(),
        "other_rows": question.address(draw=question.draw + 1),
    }
    return render(request, "jobs/_model_view.html", context)
