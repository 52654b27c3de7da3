"""The form “New job”: what was sent, what it means, and what is wrong with it.

A draft (looking, changing) gets a suggestion for each choice not yet made; a submission must have made them all.
"""

from collections.abc import Mapping, Sequence

from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.methods import METHODS, Knob, KnobValue, Method, knobs_of
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe, unknown_name
from webapp.contract.split import SplitSizes, TooFewRows, split_sizes
from webapp.contract.tasks import TASK_WORDS, TASKS, Task
from webapp.datasets.models import DatasetVersion
from webapp.jobs.continuing import GONE, START, Start, start_find, start_problem
from webapp.jobs.fit import base_model_problem, method_problem, method_suggested, task_problem
from webapp.jobs.idempotency import KEY_FIELD
from webapp.jobs.job_name import name_read, name_suggested
from webapp.jobs.knob_rules import conflicts
from webapp.jobs.knob_text import is_auto, knob_value
from webapp.jobs.model_view import template_refusal
from webapp.jobs.models import Job
from webapp.jobs.own import job_of, uuid_of, versions_of
from webapp.jobs.stray_fields import stray_fields
from webapp.jobs.wish_fields import WISHES, wishes_read

CHOICES = ("name", "dataset", "task", "base_model", "method", START)
SUGGESTED_NAME = "suggested_name"
"""Sent along by the page: a name that still is what was suggested follows the choice of another dataset."""
CHOSEN_FOR = "chosen_for"
"""Sent along by the page: the dataset version that its task, base model and method were chosen for."""
PARENT = "parent"
_OF_THE_PAGE = (SUGGESTED_NAME, CHOSEN_FOR, PARENT, KEY_FIELD)


class JobForm:
    """Reads the fields one after the other, since each choice narrows the next. `errors`: field -> messages."""

    def __init__(self, user: User, sent: Mapping[str, object], *, is_draft: bool) -> None:
        self.user = user
        self.sent = sent
        self.is_draft = is_draft
        self.errors: dict[str, list[str]] = {}
        self.versions = versions_of(user)
        self.base_models: Sequence[BaseModel] = list(BaseModel.objects.visible_to(user))
        self.start = self._start()
        self.version = self._version(user)
        self._forget_choices_for_other_rows()
        self.task = self._task()
        self.base_model = self._base_model()
        self.method = self._method()
        self.sizes = self._sizes()
        self.auto = self._auto()
        self.turned = self._turned()
        self.name = self._name()
        self.wishes = wishes_read(sent, self.add_error, is_staff=user.is_staff)
        self.parent = self._parent()
        self.replaced = self._replaced(sent)
        self._refuse_template()
        self._refuse_unknown()

    @property
    def is_valid(self) -> bool:
        return not self.errors

    @property
    def knobs(self) -> dict[str, KnobValue]:
        """Every knob's value: Auto, save where a person turned one."""
        return {**self.auto, **self.turned}

    def recipe(self) -> Recipe:
        """What will be trained. The form must be valid."""
        assert self.is_valid and self.task and self.base_model and self.method
        return Recipe(
            task=self.task,
            base_model=self.base_model.id,
            method=self.method.name,
            knobs=self.knobs,
            start_adapter=str(self.start.version.id) if self.start else None,
        )

    def add_error(self, field: str, message: str) -> None:
        self.errors.setdefault(field, []).append(message)

    def has_sent(self, field: str) -> bool:
        return not is_auto(self.sent.get(field))

    def _word(self, field: str, noun: str) -> str | None:
        """The text of a choice that must be made; None if there is none, and an error unless this is a draft."""
        sent = self.sent.get(field)
        if is_auto(sent):
            if not self.is_draft:
                self.add_error(field, f"Choose a {noun}.")
            return None
        if not isinstance(sent, str):
            self.add_error(field, f"Choose a {noun}: a text is needed here.")
            return None
        return sent.strip()

    def _start(self) -> Start | None:
        """The adapter to go on from; None where the job begins with the base model."""
        if not self.has_sent(START):
            return None
        start = start_find(self.user, self.sent[START])
        if problem := start_problem(start, self.base_models) if start else GONE:
            self.add_error(START, problem)
        for field, message in start.contradictions(self.sent) if start else ():
            self.add_error(field, message)
        return start

    def _version(self, user: User) -> DatasetVersion | None:
        word = self._word("dataset", "dataset")
        if word is not None:
            version = self.versions.filter(id=parsed).first() if (parsed := uuid_of(word)) else None
            if version is None:
                self.add_error("dataset", "There is no such dataset. Choose one of the list.")
            return version
        if "dataset" in self.errors:
            return None
        suggested = self.versions.filter(id=self.start.job.dataset_version_id).first() if self.start else None
        return suggested or self.versions.filter(dataset__owner=user).first()

    def _task(self) -> Task | None:
        if self.start:
            if self.version and (problem := self.start.rows_problem(self.version)):
                self.add_error("dataset", problem)
            return self.start.task
        word = self._word("task", "task")
        task = next((task for task in TASKS if task == word), None)
        if word is not None and task is None:
            self.add_error("task", unknown_name("task", word, list(TASKS)))
        if task and self.version and (problem := task_problem(task, self.version)):
            self.add_error("task", problem)
        return task or self.suggested_task

    @property
    def suggested_task(self) -> Task | None:
        """What the rows look like."""
        if not self.version:
            return None
        guess = next((task for task in TASKS if self.version and task == self.version.task_guess), None)
        return guess if guess and not task_problem(guess, self.version) else "generate"

    def _forget_choices_for_other_rows(self) -> None:
        """Drop the task that was chosen for another dataset, and with a task that differs the base model as well.

        Kept, labels would be trained as answers to write. Scripts, which send no CHOSEN_FOR, mean what they send.
        """
        chosen_for = self.sent.get(CHOSEN_FOR)
        if not self.is_draft or self.start or not self.version or chosen_for in (None, "", str(self.version.id)):
            return
        others = ("task",) if self.sent.get("task") == self.suggested_task else ("task", "base_model")
        self.sent = {field: value for field, value in self.sent.items() if field not in others}

    def _replaced(self, sent: Mapping[str, object]) -> list[tuple[str, str]]:
        """Each choice of a draft that stands otherwise than it was sent: what it is, and what is chosen now."""
        chosen = [
            ("task", "task", self.task, TASK_WORDS[self.task][0] if self.task else ""),
            ("base_model", "base model", self.base_model and self.base_model.id, str(self.base_model or "")),
            ("method", "method", self.method and self.method.name, self.method.label if self.method else ""),
        ]
        return [
            (noun, label)
            for field, noun, value, label in chosen
            if self.is_draft and value and not is_auto(sent.get(field)) and sent[field] != value
            if field not in self.errors
        ]

    def _base_model(self) -> BaseModel | None:
        if self.start:
            return next((model for model in self.base_models if model == self.start.job.base_model), None)
        word = self._word("base_model", "base model")
        chosen = next((model for model in self.base_models if model.id == word), None)
        if word is not None and chosen is None:
            self.add_error("base_model", unknown_name("base model", word, [model.id for model in self.base_models]))
        if not chosen or not self.task:
            return chosen or self.suggested_base_model
        if problem := base_model_problem(chosen, self.task):
            if not self.is_draft:
                self.add_error("base_model", problem)
            return self.suggested_base_model
        return chosen

    @property
    def suggested_base_model(self) -> BaseModel | None:
        """The first that is made for the task, else the first that can do it; starters stand first."""
        able = [model for model in self.base_models if self.task in model.tasks]
        return next((model for model in able if model.tasks[0] == self.task), able[0] if able else None)

    def _method(self) -> Method | None:
        if self.start:
            return METHODS[self.start.job.recipe.method]
        word = self._word("method", "method")
        method = METHODS.get(word) if word is not None else None
        if word is not None and method is None:
            self.add_error("method", unknown_name("method", word, list(METHODS)))
        if not method or not self.base_model or not self.task:
            return method or self.suggested_method
        if problem := method_problem(method, self.base_model, self.task):
            if not self.is_draft:
                self.add_error("method", problem)
            return self.suggested_method
        return method

    @property
    def suggested_method(self) -> Method | None:
        return method_suggested(self.base_model, self.task)

    def _sizes(self) -> SplitSizes | None:
        if self.version is None:
            return None
        try:
            return split_sizes(self.version.num_rows)
        except TooFewRows as error:
            self.add_error("dataset", str(error))
            return None

    def _auto(self) -> dict[str, KnobValue]:
        auto = self.auto_of(self.method) if self.method else {}
        return self.start.auto(auto) if self.start and auto else auto

    def auto_of(self, method: Method) -> dict[str, KnobValue]:
        """Auto for any method that works here; without enough rows, as if there were a few."""
        if not self.task or not self.base_model:
            return {}
        return auto_knobs(method.name, self.task, self.base_model.shape, self.sizes.train if self.sizes else 1)

    def _turned(self) -> dict[str, KnobValue]:
        """Knobs that a person has set, each checked."""
        turned: dict[str, KnobValue] = {}
        fixed = self.start.fixed if self.start else {}
        for knob in self._own_knobs:
            sent = self.sent.get(knob.name)
            if is_auto(sent) or knob.name in fixed:
                continue
            value = knob_value(knob, sent)
            if problem := knob.problem_with(value):
                self.add_error(knob.name, problem)
            elif isinstance(value, int | float | str):
                turned[knob.name] = value
        each_is_fine = not self.errors.keys() & {knob.name for knob in self._own_knobs}
        if self.method and self.base_model and self.auto and each_is_fine:
            for name, problem in conflicts(self.method.name, self.base_model, self.auto, {**fixed, **turned}).items():
                self.add_error(name, problem)
        return turned

    @property
    def _own_knobs(self) -> Sequence[Knob]:
        return knobs_of(self.method.name) if self.method else ()

    @property
    def suggested_name(self) -> str:
        """Where training continues from an adapter, its name: the new one is its next version then."""
        if self.start:
            return str(self.start.version.adapter.name)
        return name_suggested(str(self.version.dataset)) if self.version else ""

    def _name(self) -> str:
        sent = self.sent.get("name")
        if self.is_draft and (sent is None or sent == self.sent.get(SUGGESTED_NAME)):
            return self.suggested_name
        if is_auto(sent) and self.is_draft:
            return ""
        name, problems = name_read(sent)
        for problem in problems:
            self.add_error("name", problem)
        return name

    def _parent(self) -> Job | None:
        """The earlier job whose choices this one began with."""
        word = self.sent.get(PARENT)
        if is_auto(word):
            return None
        parent = job_of(self.user, word)
        if parent is None:
            self.add_error(PARENT, "The earlier job is not there any more. Begin anew, or leave out “parent”.")
        return parent

    def _refuse_template(self) -> None:
        """Where the page has shown that the template refuses the rows, a job would only fail later."""
        if self.is_draft or not (self.version and self.base_model and self.task):
            return
        start_adapter = self.start.version.id if self.start else None
        if reason := template_refusal(self.version, self.base_model, self.task, start_adapter):
            self.add_error("base_model", reason)

    def _refuse_unknown(self) -> None:
        """A misspelt setting must not be passed over in silence. A draft may still hold those of another method."""
        if not self.is_draft:
            for field, message in stray_fields(self.sent, self.method, (*CHOICES, *WISHES), _OF_THE_PAGE).items():
                self.add_error(field, message)
