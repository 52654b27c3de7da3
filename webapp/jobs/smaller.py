"""“Make it fit”: changes of settings after which a job would need no more memory than a worker has."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from webapp.contract.capabilities import CAPABILITIES, knob_conflicts
from webapp.contract.methods import METHODS, KnobValue, knobs_of
from webapp.contract.work import Work
from webapp.jobs.knob_text import knob_text

MIN_RANK = 2

Fits = Callable[[Work], bool]
"""Whether a job would fit comfortably where it was too large."""


class Change(NamedTuple):
    """`method` is another one where that is the change."""

    knobs: Mapping[str, KnobValue]
    costs: str
    method: str = ""


CHECKPOINTING = Change({"gradient_checkpointing": "yes"}, "The same result; training takes about a third longer.")
FOUR_BITS = Change({"quantised": "4bit"}, "A little less exact and slower. The worker needs the package bitsandbytes.")
EIGHT_BITS = Change(
    {"optimizer": "adamw_8bit"}, "Steps are a little less exact. The worker needs the package bitsandbytes."
)
LENGTHS = (4096, 2048, 1024, 512, 256, 128, 64)
"""A row of fewer tokens says little."""


class Offer(NamedTuple):
    """`sentence` says what is changed, `costs` what that costs; `url` opens the page with the change made."""

    sentence: str
    costs: str
    url: str


def offers(
    work: Work,
    fits: Fits,
    sent: Mapping[str, str],
    lora: Mapping[str, KnobValue],
    fixed: Collection[str] = (),
) -> list[Offer]:
    """The smallest change of each kind that is enough; empty where none is. `sent`: the fields as they are; `lora`:
    Auto of LoRA, empty where LoRA cannot do this task; `fixed`: settings that stay."""
    single = [change for change in _single(work, fits, lora) if change is not None]
    enough = [change for change in single if not change.knobs.keys() & set(fixed)]
    changes = enough or [change for change in [_all_of_it(work, fits)] if change is not None]
    return [_offer(work, change, sent) for change in changes]


def changed(work: Work, change: Change) -> Work:
    knobs = dict(change.knobs) if change.method else {**work.knobs, **change.knobs}
    return work.model_copy(update={"knobs": knobs, "method": change.method or work.method})


def _single(work: Work, fits: Fits, lora: Mapping[str, KnobValue]) -> Iterator[Change | None]:
    noisier = "As many rows are learnt, in smaller and less steady steps."
    yield _first(work, fits, [Change({"batch_size": size}, noisier) for size in _halves(work, "batch_size", 1)])
    yield _first(work, fits, [CHECKPOINTING] if _can_checkpoint(work) else [])
    longest = min(int(work.knobs["max_length"]), work.longest_tokens)
    cut = "Longer rows lose what is cut off."
    yield _first(work, fits, [Change({"max_length": size}, cut) for size in LENGTHS if size < longest])
    if work.method == "lora":
        yield _first(work, fits, [FOUR_BITS])
        less = "It can learn less; the adapter is smaller."
        yield _first(work, fits, [Change({"rank": rank}, less) for rank in _halves(work, "rank", MIN_RANK)])
    if work.trains_base and work.knobs.get("optimizer", "adamw") == "adamw":
        yield _first(work, fits, [EIGHT_BITS])
    if work.trains_base and lora:
        close = "The base stays as it is and a small adapter is trained, usually about as good."
        yield _first(work, fits, [Change(lora, close, method="lora")])


def _all_of_it(work: Work, fits: Fits) -> Change | None:
    """Where no single change is enough: one row a step, computed again, and cut as far as it makes sense."""
    knobs: dict[str, KnobValue] = {"batch_size": 1, **(CHECKPOINTING.knobs if _can_checkpoint(work) else {})}
    costs = "Steps are less steady, training takes about a third longer, and longer rows lose what is cut off."
    longest = int(work.knobs["max_length"])
    return _first(work, fits, [Change({**knobs, "max_length": size}, costs) for size in LENGTHS if size < longest])


def _first(work: Work, fits: Fits, changes: list[Change]) -> Change | None:
    for change in changes:
        after = changed(work, change)
        if not knob_conflicts(after.method, after.knobs) and fits(after):
            return change
    return None


def _halves(work: Work, knob: str, low: int) -> list[int]:
    value, halves = int(work.knobs[knob]) // 2, []
    while value >= low:
        halves.append(value)
        value //= 2
    return halves


def _can_checkpoint(work: Work) -> bool:
    is_on = work.knobs["gradient_checkpointing"] == "yes"
    return not is_on and CAPABILITIES[work.method]["gradient_checkpointing"].yes


def _offer(work: Work, change: Change, sent: Mapping[str, str]) -> Offer:
    if change.method:
        own = {knob.name for knob in knobs_of(work.method)}
        fields = {name: text for name, text in sent.items() if name not in own} | {"method": change.method}
        sentence = f"{METHODS[change.method].label} instead of {METHODS[work.method].label}"
        return Offer(sentence, change.costs, form_address(fields))
    knobs = {knob.name: knob for knob in knobs_of(work.method)}
    texts = {name: knob_text(knobs[name], value) for name, value in change.knobs.items()}
    before = {name: knob_text(knobs[name], work.knobs[name]) for name in change.knobs}
    words = [f"{knobs[name].label}: {before[name]} → {text}" for name, text in texts.items() if text != before[name]]
    return Offer(", ".join(words), change.costs, form_address({**sent, **texts}))


def form_address(fields: Mapping[str, str]) -> str:
    """Of the page “New job”, filled in like this, at its review."""
    return f"{reverse('job-new')}?{urlencode(fields)}#step-review"
