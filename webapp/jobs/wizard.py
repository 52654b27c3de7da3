"""What the page “New job” shows of a form: the cards to choose from, the knobs, and the review."""

import math
from typing import Any, NamedTuple
from urllib.parse import urlencode

from webapp.base_models.models import BaseModel
from webapp.contract.capabilities import AbilityLine, abilities_of
from webapp.contract.costs import Costs, costs_of
from webapp.contract.methods import METHODS, TRAINING_KNOBS, Knob, KnobValue, Method, knobs_of
from webapp.contract.shortfalls import shortfall
from webapp.contract.split import SplitSizes
from webapp.contract.tasks import TASK_WORDS, TASKS, Task
from webapp.datasets.models import DatasetVersion
from webapp.jobs.continuing import START
from webapp.jobs.estimate_panel import estimate_panel
from webapp.jobs.fit import base_model_problem, method_problem, task_problem
from webapp.jobs.forms import CHOICES, JobForm
from webapp.jobs.knob_text import is_auto, knob_text
from webapp.jobs.model_view import Question
from webapp.jobs.wish_fields import WISHES
from webapp.jobs.wizard_running import running_context
from webapp.samples.catalogue import SAMPLES

MOST_VERSIONS = 200
"""Entries of the list of datasets; older ones are reached from their own page."""


class Card(NamedTuple):
    """One thing to choose. `problem` says why it cannot be; `why` why it is suggested."""

    value: str
    label: str
    sentence: str
    is_chosen: bool
    problem: str | None = None
    why: str = ""
    model: BaseModel | None = None
    good_for: str = ""
    costs: Costs | None = None
    abilities: tuple[AbilityLine, ...] = ()
    measured: str = ""
    """Where a method fell short on our own rows."""


class KnobField(NamedTuple):
    """A knob in the expert drawer. `sent` is what stands in the field, empty for Auto."""

    knob: Knob
    sent: str
    auto: str
    differs: bool
    errors: list[str]
    fixed_by: str = ""
    """The adapter that settles it, where training continues from one."""

    @property
    def id(self) -> str:
        return f"id_{self.knob.name}"


class Review(NamedTuple):
    sizes: SplitSizes | None
    costs: Costs
    num_steps: int
    model_view: str
    """The address at which “what the model will see” is shown."""


def wizard_context(form: JobForm) -> dict[str, Any]:
    versions = list(form.versions[:MOST_VERSIONS])
    if form.version and form.version not in versions:
        versions.insert(0, form.version)
    method = form.method
    return {
        "form": form,
        "errors": form.errors,
        "versions": versions,
        "task_words": TASK_WORDS[form.task][0] if form.task else "",
        "tasks": [_task_card(task, form) for task in TASKS],
        "models": [_model_card(model, form) for model in form.base_models],
        "methods": [_method_card(method, form) for method in METHODS.values()],
        "method_knobs": _knob_fields(method.knobs, form) if method and form.auto else [],
        "training_knobs": _knob_fields(TRAINING_KNOBS, form) if method and form.auto else [],
        "changed": _changed(form),
        "review": _review(form),
        "estimate": estimate_panel(form),
        "samples": [] if versions else list(SAMPLES.values()),
        "stray_errors": _stray_errors(form),
        "without_start": _without_start(form),
        "open": _open_sections(form),
        **running_context(form),
    }


def _task_card(task: Task, form: JobForm) -> Card:
    label, sentence = TASK_WORDS[task]
    problem = task_problem(task, form.version) if form.version else None
    num_labels = len(form.version.labels) if form.version else 0
    why = f"The outputs are {num_labels} labels." if task == "classify" and task == form.suggested_task else ""
    return Card(task, label, sentence, is_chosen=task == form.task, problem=problem, why=why)


def _model_card(model: BaseModel, form: JobForm) -> Card:
    starter = model.starter
    task = form.task
    suggested = form.suggested_base_model
    return Card(
        value=model.id,
        label=model.title,
        sentence=model.sentence,
        is_chosen=model == form.base_model,
        problem=base_model_problem(model, task) if task else None,
        why="It can do this task and trains without a graphics card." if starter and model == suggested else "",
        model=model,
    )


def _method_card(method: Method, form: JobForm) -> Card:
    model, task = form.base_model, form.task
    problem = method_problem(method, model, task) if model and task else None
    return Card(
        value=method.name,
        label=method.label,
        sentence=method.sentence,
        good_for=method.good_for,
        is_chosen=method == form.method,
        problem=problem,
        why="A safe first choice: it did well on all rows we measured." if method == form.suggested_method else "",
        costs=None if problem else _costs(method, form),
        abilities=abilities_of(method.name, family=model.shape.family if model else None, task=task),
        measured=shortfall(method.name, task),
    )


def _costs(method: Method, form: JobForm) -> Costs | None:
    """With the knobs in force for the chosen method, with Auto for the others."""
    if not form.base_model or not form.task:
        return None
    knobs = form.knobs if method == form.method else form.auto_of(method)
    num_labels = len(form.version.labels) if form.version else 0
    return costs_of(method.name, knobs, form.base_model.shape, task=form.task, num_labels=num_labels)


def _knob_fields(knobs: tuple[Knob, ...], form: JobForm) -> list[KnobField]:
    return [_knob_field(knob, form) for knob in knobs]


def _knob_field(knob: Knob, form: JobForm) -> KnobField:
    sent = form.sent.get(knob.name)
    auto = form.auto[knob.name]
    return KnobField(
        knob=knob,
        sent="" if is_auto(sent) else str(sent)[:100],
        auto=_in_words(knob, auto),
        differs=knob.name in form.turned and form.turned[knob.name] != auto,
        errors=form.errors.get(knob.name, []),
        fixed_by=form.start.words if form.start and knob.name in form.start.fixed else "",
    )


def _in_words(knob: Knob, value: KnobValue) -> str:
    return next((choice.label for choice in knob.choices if choice.value == value), knob_text(knob, value))


def _changed(form: JobForm) -> list[str]:
    """Each setting that differs from Auto, in words."""
    knobs = knobs_of(form.method.name) if form.method and form.auto else ()
    return [
        f"{knob.label} {_in_words(knob, form.turned[knob.name])} (Auto: {_in_words(knob, form.auto[knob.name])})"
        for knob in knobs
        if knob.name in form.turned and form.turned[knob.name] != form.auto[knob.name]
    ]


def _review(form: JobForm) -> Review | None:
    if not form.version or not form.method or not form.task or not form.base_model:
        return None
    costs = _costs(form.method, form)
    if costs is None:
        return None
    steps_an_epoch = math.ceil(form.sizes.train / int(form.knobs["batch_size"])) if form.sizes else 0
    return Review(
        sizes=form.sizes,
        costs=costs,
        num_steps=steps_an_epoch * int(form.knobs["epochs"]),
        model_view=_model_view(form, form.version, form.task, form.base_model.id),
    )


def _model_view(form: JobForm, version: DatasetVersion, task: Task, base_model_id: str) -> str:
    question = Question(
        dataset=version.id,
        base_model=base_model_id,
        task=task,
        max_length=int(form.knobs["max_length"]),
        virtual_tokens=int(form.knobs.get("num_virtual_tokens", 0)),
        start_adapter=form.start and form.start.version.id,
    )
    return question.address()


def _stray_errors(form: JobForm) -> list[str]:
    """Errors that no field of the page would show."""
    shown = {*CHOICES, *WISHES, *form.auto}
    return [message for field, messages in form.errors.items() if field not in shown for message in messages]


def _without_start(form: JobForm) -> str:
    """The address of the same form where training does not continue from an adapter."""
    kept = {name: value for name, value in form.sent.items() if name not in (START, "parent") and not is_auto(value)}
    recipe = form.start.job.recipe if form.start else None
    settled = {"task": recipe.task, "base_model": recipe.base_model, "method": recipe.method} if recipe else {}
    return urlencode({**kept, **settled})


def _open_sections(form: JobForm) -> dict[str, bool]:
    """A section is folded once it was settled; one with an error never is."""
    wrong = set(form.errors)
    return {
        "data": bool(wrong & {"dataset", "task"}) or not (form.has_sent("dataset") and form.version),
        "model": "base_model" in wrong or not (form.start or form.has_sent("base_model")),
        "method": bool(wrong & {"method", *form.auto}) or not (form.start or form.has_sent("method")),
        "expert": bool(wrong & set(form.auto) or form.turned),
        "running": bool(wrong & set(WISHES)),
    }
