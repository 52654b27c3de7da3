"""The recipe: everything a training run is told. Frozen, complete, and refused whole if any part is wrong."""

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from webapp.contract.capabilities import knob_conflicts
from webapp.contract.methods import METHODS, Knob, KnobValue, knobs_of
from webapp.contract.tasks import Task

MAX_NAME_CHARS = 60
"""As much of an unknown name is compared with the known ones, and repeated."""
MAX_SENTENCES = 10
MAX_KNOWN = 50


class Recipe(BaseModel):
    """What to train and how. `knobs` names every knob of the method and of training, none left to chance.

    Raises pydantic's ValidationError with all problems at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1, 2, 3, 4] = 4
    task: Task
    base_model: str = Field(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    method: str
    knobs: dict[str, KnobValue]
    seed: int = Field(default=17, ge=0, lt=2**31)
    start_adapter: str | None = Field(default=None, pattern=r"^[0-9a-f-]{36}$")
    """The adapter version to go on from, if any; its files then lie in the job's folder."""

    @property
    def text_version(self) -> int:
        """See TEXT_VERSION; a job that was accepted before version 2 goes on as it began."""
        return 1 if self.version <= 3 else 2

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name in data:
                if name not in cls.model_fields:
                    raise ValueError(unknown_name("recipe field", str(name), list(cls.model_fields)))
        return data

    @model_validator(mode="after")
    def _knobs_fit(self) -> "Recipe":
        if self.method not in METHODS:
            raise ValueError(unknown_name("method", self.method, list(METHODS)))
        problems = list(self.knob_problems().values())
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def knob_problems(self) -> dict[str, str]:
        """Knob name -> what is wrong with it."""
        known = {knob.name: knob for knob in knobs_of(self.method)}
        problems = unknown_names("setting", (name for name in self.knobs if name not in known), list(known))
        for name, knob in known.items():
            if name not in self.knobs and knob.unsaid is not None:
                continue
            if name not in self.knobs:
                problems[name] = f"{knob.label}: a value is missing."
            elif problem := knob.problem_with(self.knobs[name]):
                problems[name] = problem
        return problems or knob_conflicts(self.method, self.knobs)

    def value(self, knob: Knob) -> KnobValue:
        """Also of one that a recipe is too old to name."""
        value = self.knobs.get(knob.name, knob.unsaid)
        assert value is not None
        return value

    def number(self, knob: str) -> float:
        """A numeric knob's value."""
        value = self.knobs[knob]
        assert not isinstance(value, str)
        return value

    def whole(self, knob: str) -> int:
        """A whole-number knob's value."""
        value = self.knobs[knob]
        assert isinstance(value, int)
        return value


def unknown_name(noun: str, name: str, known: Sequence[str]) -> str:
    """A sentence that refuses an unknown name and offers the nearest known one."""
    name = name[:MAX_NAME_CHARS]
    nearest = difflib.get_close_matches(name, known[:MAX_KNOWN], n=1)
    more = f" and {len(known) - MAX_KNOWN:,} more" if len(known) > MAX_KNOWN else ""
    hint = f"Did you mean “{nearest[0]}”?" if nearest else f"Known: {', '.join(known[:MAX_KNOWN])}{more}."
    return f"Unknown {noun} “{name}”. {hint}"


def unknown_names(noun: str, names: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Name -> the sentence that refuses it: for the first few one each, for all others one together."""
    unknown = iter(names)
    sentences = {name: unknown_name(noun, name, known) for name in islice(unknown, MAX_SENTENCES)}
    if (next_one := next(unknown, None)) is not None:
        others = sum(1 for _name in unknown)
        and_more = f" and {others:,} more are unknown as well" if others else " is unknown as well"
        sentences[next_one] = f"“{next_one[:MAX_NAME_CHARS]}”{and_more}. Leave out what is unknown."
    return sentences
