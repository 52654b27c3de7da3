"""The catalogue of methods: plain words, knobs with bounds, what each can and cannot do.

The picker, the recipe check, the expert drawer and the help page read this; the engine's table of builders has
the same keys (a test holds that). A sentence under each knob is written here once.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from webapp.contract.tasks import Task

KnobValue = int | float | str


class Choice(BaseModel):
    model_config = ConfigDict(frozen=True)

    value: str
    label: str


class Knob(BaseModel):
    """One setting a person may turn. Bounds are inclusive."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    sentence: str
    kind: Literal["int", "float", "choice"]
    low: float = 0
    high: float = 0
    choices: tuple[Choice, ...] = ()

    def problem_with(self, value: object) -> str | None:
        """Why the value is refused, in a sentence; None if it is fine."""
        if self.kind == "choice":
            allowed = [choice.value for choice in self.choices]
            return None if value in allowed else f"{self.label}: choose one of {', '.join(allowed)}."
        bounds = f"from {self.low:g} to {self.high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{self.label}: must be a number {bounds}."
        if self.kind == "int" and not isinstance(value, int):
            return f"{self.label}: must be a whole number {bounds}."
        # `not (low <= x <= high)` also refuses NaN, which every comparison denies, and both infinities.
        if not self.low <= value <= self.high:
            return f"{self.label}: {str(value)[:20]} is out of range; it goes {bounds}."
        return None


class Method(BaseModel):
    """One way to fine-tune. `sentence` says what it does before what it is called."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    sentence: str
    good_for: str
    tasks: tuple[Task, ...]
    families: tuple[str, ...]
    knobs: tuple[Knob, ...]
    can_merge: bool


TRAINING_KNOBS: tuple[Knob, ...] = (
    Knob(name="epochs", label="Epochs", kind="int", low=1, high=100,
         sentence="How many times training goes through all rows. More can fit better, or learn rows by heart."),
    Knob(name="learning_rate", label="Learning rate", kind="float", low=1e-6, high=1.0,
         sentence="How far each step moves the weights. Too low learns nothing, too high falls apart."),
    Knob(name="batch_size", label="Batch size", kind="int", low=1, high=256,
         sentence="Rows per optimizer step. Larger is steadier, smaller takes more steps."),
    Knob(name="warmup_ratio", label="Warm-up", kind="float", low=0.0, high=0.5,
         sentence="Share of the steps in which the learning rate climbs from zero."),
    Knob(name="schedule", label="Schedule", kind="choice",
         choices=(Choice(value="cosine", label="Cosine"), Choice(value="linear", label="Linear"),
                  Choice(value="constant", label="Constant")),
         sentence="How the learning rate falls after the warm-up."),
    Knob(name="weight_decay", label="Weight decay", kind="float", low=0.0, high=1.0,
         sentence="Pulls trained weights towards zero a little on each step, against overfitting."),
    Knob(name="max_length", label="Longest row", kind="int", low=16, high=8192,
         sentence="Tokens kept of one row. Of a longer one the start is cut off; of a text to label, the end."),
)  # fmt: skip

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="lora",
            label="LoRA",
            sentence="Trains a small low-rank correction beside each chosen layer; the base stays as it is.",
            good_for="The all-rounder: closest to full fine-tuning on most tasks.",
            tasks=("generate", "classify"),
            families=("llama", "bert"),
            can_merge=True,
            knobs=(
                Knob(name="rank", label="Rank", kind="int", low=1, high=256,
                     sentence="Size of the correction. Higher can learn more and makes a larger adapter."),
                Knob(name="alpha", label="Alpha", kind="int", low=1, high=512,
                     sentence="Strength of the correction; it is scaled by alpha divided by rank."),
                Knob(name="dropout", label="Dropout", kind="float", low=0.0, high=0.9,
                     sentence="Share of the correction's inputs left out at random in training."),
                Knob(name="targets", label="Layers", kind="choice",
                     choices=(Choice(value="all-linear", label="All linear layers"),
                              Choice(value="attention", label="Attention only")),
                     sentence="Which layers get a correction. All of them learns best, attention only is smaller."),
            ),
        ),
        Method(
            name="prompt_tuning",
            label="Prompt tuning",
            sentence="Trains a few virtual tokens put before every input; nothing inside the model changes.",
            good_for="The smallest adapter, a few kilobytes; learns slower and less than LoRA.",
            tasks=("generate", "classify"),
            families=("llama", "bert"),
            can_merge=False,
            knobs=(
                Knob(name="num_virtual_tokens", label="Virtual tokens", kind="int", low=1, high=256,
                     sentence="How many trained tokens stand before the input."),
                Knob(name="init", label="Start from", kind="choice",
                     choices=(Choice(value="text", label="A text"), Choice(value="vocabulary", label="Real words"),
                              Choice(value="random", label="Random")),
                     sentence="Where the virtual tokens start. A text or real words learn far faster than random."),
            ),
        ),
    )
}  # fmt: skip


def knobs_of(method: str) -> tuple[Knob, ...]:
    """The method's own knobs, then those of training."""
    return METHODS[method].knobs + TRAINING_KNOBS
