"""The catalogue of methods: plain words and knobs with bounds.

The picker, the recipe check, the expert drawer and the help page read this; the engine's table of builders has
the same keys (a test holds that). A sentence under each knob is written here once. What each method can and cannot
do stands in capabilities.py.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

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
    unsaid: KnobValue | None = None
    """What recipes mean that are older than the knob; None where every recipe names it."""

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


def choice(name: str, label: str, sentence: str, **choices: str) -> Knob:
    """A knob with a few named values: value -> label."""
    values = tuple(Choice(value=value, label=text) for value, text in choices.items())
    return Knob(name=name, label=label, sentence=sentence, kind="choice", choices=values)


class Method(BaseModel):
    """One way to fine-tune. `sentence` says what it does before what it is called."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    sentence: str
    good_for: str
    paper: str
    knobs: tuple[Knob, ...] = ()


OPTIMIZER = choice(
    "optimizer", "Optimizer", "8 bits keep what it remembers of past gradients in a quarter of the memory, a little "
    "less exactly; paged, on NVIDIA GPUs, what has no room waits in main memory. Both need the package bitsandbytes.",
    adamw="AdamW", adamw_8bit="AdamW in 8 bits", paged_adamw_8bit="AdamW in 8 bits, paged",
).model_copy(update={"unsaid": "adamw"})  # fmt: skip

TRAINING_KNOBS: tuple[Knob, ...] = (
    Knob(name="epochs", label="Epochs", kind="int", low=1, high=100,
         sentence="How many times training goes through all rows. More can fit better, or learn rows by heart."),
    Knob(name="patience", label="Patience", kind="int", low=0, high=100,
         sentence="Training ends after so many looks at the watched rows without a better one. 0: never early."),
    Knob(name="learning_rate", label="Learning rate", kind="float", low=1e-6, high=1.0,
         sentence="How far each step moves the weights. Too low learns nothing, too high falls apart."),
    Knob(name="batch_size", label="Batch size", kind="int", low=1, high=256,
         sentence="Rows per optimizer step. Larger is steadier, smaller takes more steps."),
    Knob(name="warmup_ratio", label="Warm-up", kind="float", low=0.0, high=0.5,
         sentence="Share of the steps in which the learning rate climbs from zero."),
    choice("schedule", "Schedule", "How the learning rate falls after the warm-up.",
           cosine="Cosine", linear="Linear", constant="Constant"),
    Knob(name="weight_decay", label="Weight decay", kind="float", low=0.0, high=1.0,
         sentence="Pulls trained weights towards zero a little on each step, against overfitting."),
    OPTIMIZER,
    Knob(name="max_length", label="Longest row", kind="int", low=16, high=8192,
         sentence="Tokens kept of one row. Of a longer one the start is cut off; of a text to label or to turn "
                  "into another, the end."),
    choice("gradient_checkpointing", "Save memory", "Forget what lies between the blocks and compute it again: far "
           "less memory for long rows, about a third more time.", no="No", yes="Yes, compute again"),
)  # fmt: skip

_VIRTUAL_TOKENS = Knob(
    name="num_virtual_tokens", label="Virtual tokens", kind="int", low=1, high=256,
    sentence="How many trained tokens stand before the input. More can learn more and leave less room for the text.",
)  # fmt: skip

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="lora",
            label="LoRA",
            sentence="Trains a small low-rank correction beside each chosen layer; the base stays as it is.",
            good_for="The all-rounder: clearly better than the base on all rows we measured, and most tools read it.",
            paper="Hu et al. 2021, arXiv 2106.09685",
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
                choice("variant", "Variant", "rsLoRA divides by the root of the rank, for high ranks. DoRA trains size "
                       "and direction apart: a little better at low rank, slower.",
                       lora="Plain", rslora="rsLoRA", dora="DoRA"),
                choice("init", "Start from", "PiSSA starts at the base weights' largest directions and often learns "
                       "faster; the adapter is kept as plain LoRA of twice the rank.",
                       default="Nothing (usual)", pissa="PiSSA"),
                Knob(name="quantised", label="Base weights", kind="choice",
                     choices=(Choice(value="no", label="As they are"), Choice(value="4bit", label="4 bits (QLoRA)")),
                     sentence="QLoRA keeps the frozen base in 4 bits: about a quarter of its memory. The worker needs "
                              "the package bitsandbytes."),
            ),
        ),
        Method(
            name="prompt_tuning",
            label="Prompt tuning",
            sentence="Trains a few virtual tokens put before every input; nothing inside the model changes.",
            good_for="The smallest adapter, a few kilobytes; learns slower and less than LoRA.",
            paper="Lester et al. 2021, arXiv 2104.08691",
            knobs=(
                _VIRTUAL_TOKENS,
                choice("init", "Start from", "Where the virtual tokens start. A text or real words learn far faster "
                       "than random.", text="A text", vocabulary="Real words", random="Random"),
            ),
        ),
        Method(
            name="p_tuning",
            label="P-tuning",
            sentence="Trains virtual tokens too, but lets a small network make them, which steadies their learning.",
            good_for="As small as prompt tuning once trained; worth a try where prompt tuning learns nothing.",
            paper="Liu et al. 2021, arXiv 2103.10385",
            knobs=(
                _VIRTUAL_TOKENS,
                Knob(name="encoder_hidden_size", label="Network width", kind="int", low=8, high=4096,
                     sentence="Width of the network that makes the virtual tokens; it is not needed afterwards."),
            ),
        ),
        Method(
            name="prefix_tuning",
            label="Prefix tuning",
            sentence="Trains a few keys and values put before every block's attention, so that all blocks see them.",
            good_for="Small adapters that still reach deep into the model; nothing in the base changes.",
            paper="Li and Liang 2021, arXiv 2101.00190",
            knobs=(
                _VIRTUAL_TOKENS,
                choice("init", "Start from", "Zero changes the base least at first; a text starts from what the base "
                       "makes of a few words of instruction.", zero="Zero", text="A text"),
                choice("projection", "Projection", "Let a small network make the prefix, as in the paper: steadier for "
                       "some tasks, slower. It starts at random.", no="No", yes="Yes"),
            ),
        ),
        Method(
            name="bottleneck",
            label="Bottleneck adapters",
            sentence="Trains small modules between the layers: down to a few numbers, a bend, and up again.",
            good_for="As good as LoRA on many tasks; opens in AdapterHub. It cannot be merged into the base.",
            paper="Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247",
            knobs=(
                choice("placement", "Placement", "Pfeiffer puts one module into each block, Houlsby two: twice the "
                       "size, sometimes better.", pfeiffer="Pfeiffer", houlsby="Houlsby"),
                Knob(name="reduction_factor", label="Reduction", kind="int", low=1, high=512,
                     sentence="How much narrower the module is than the model. Lower can learn more and is larger."),
            ),
        ),
        Method(
            name="ia3",
            label="IA3",
            sentence="Trains three scaling vectors a block, which turn up or down what flows through it.",
            good_for="Tiny adapters that can be merged away; on our small sets of rows as good as LoRA.",
            paper="Liu et al. 2022, arXiv 2205.05638",
        ),
        Method(
            name="freezing",
            label="Layer freezing",
            sentence="Trains the last few blocks of the base itself and keeps all earlier ones frozen.",
            good_for="Simple and strong for labels; the result is the changed blocks, larger than an adapter.",
            paper="Lee et al. 2019, arXiv 1911.03090",
            knobs=(
                Knob(name="num_blocks", label="Trained blocks", kind="int", low=1, high=256,
                     sentence="How many of the last blocks are trained. More can learn more and is larger."),
                choice("also", "Also train", "Small parts of the frozen blocks that may be trained as well.",
                       nothing="Nothing more", norms="All norms", biases="All biases"),
            ),
        ),
        Method(
            name="full",
            label="Full fine-tuning",
            sentence="Trains every weight. The result is a whole model, and old skills are forgotten most easily.",
            good_for="The yardstick: run it once to see what the small methods give away.",
            paper="Howard and Ruder 2018, arXiv 1801.06146",
        ),
    )
}  # fmt: skip


def knobs_of(method: str) -> tuple[Knob, ...]:
    """The method's own knobs, then those of training."""
    return METHODS[method].knobs + TRAINING_KNOBS
