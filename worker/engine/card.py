"""The model card that ships with the adapter: what it is, what was measured, how to use it.

Names, labels and licences come from people, so that everything but our own words is escaped.
"""

from webapp.contract.job_dir import Facts
from webapp.contract.markdown import code_block, code_span, escape, yaml_text
from webapp.contract.methods import METHODS
from webapp.contract.mistakes import mistakes_sentence
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Comparison, Verdict

_LIBRARIES = {"bottleneck": "adapters", "freezing": "transformers", "full": "transformers"}
"""What opens it, where that is not peft."""

_CARD = """\
---
base_model: {yaml_base}
library_name: {library}
license: {yaml_licence}
tags: [{method}]
---
# {name}

{method_label} of {title}, trained on “{dataset}”.{continues}

**{sentence}**

| on the same {num_rows} held-out rows | base | this adapter | difference | 95 % interval |
|---|---|---|---|---|
{figures}

What stands for the base: {baseline}
{notes}
| cost | |
|---|---|
| trained weights | {trainable:,} of {total:,} ({share:.2%}) |
| size | {adapter_mb:.1f} MB; a full checkpoint would be {full_mb:.1f} MB |
| time | {train_seconds:.0f} s of training, {total_seconds:.0f} s in all |
| peak memory | {memory_mb:,.0f} MB |

## Use it

{snippet}

## How it was made

Base model {base} ({licence}). Method {method}, seed {seed}. The split into rows for training, watching and judging
is fixed and has the fingerprint `{split}`.

{knobs}

Measured on rows the training never saw, but from the same source: text of another kind may fare worse.
"""


def card_of(recipe: Recipe, facts: Facts, verdict: Verdict, *, snippet: str) -> str:
    """The text of README.md. `snippet` is the Python code that uses the adapter."""
    cost = verdict.cost
    return _CARD.format(
        yaml_base=yaml_text(facts.base_model_reference),
        yaml_licence=yaml_text(facts.base_model_licence),
        name=escape(facts.name),
        base=code_span(facts.base_model_reference),
        title=escape(facts.base_model_title),
        licence=escape(facts.base_model_licence),
        method=recipe.method,
        method_label=METHODS[recipe.method].label,
        dataset=escape(facts.dataset_name),
        continues=f" Training went on from {escape(facts.continues)}." if facts.continues else "",
        sentence=escape(verdict.sentence),
        num_rows=verdict.primary.num_rows,
        figures="\n".join(_figures(comparison) for comparison in (verdict.primary, *verdict.others)),
        baseline=escape(verdict.baseline),
        notes="".join(f"\n{escape(note)}\n" for note in _notes(verdict)),
        trainable=cost.trainable_params,
        total=cost.total_params,
        share=cost.trainable_params / cost.total_params,
        adapter_mb=cost.adapter_bytes / 1e6,
        full_mb=cost.full_checkpoint_bytes / 1e6,
        train_seconds=cost.train_seconds,
        total_seconds=cost.total_seconds,
        memory_mb=cost.peak_memory_bytes / 1e6,
        library=_LIBRARIES.get(recipe.method, "peft"),
        snippet=code_block(snippet, "python"),
        seed=recipe.seed,
        split=facts.split_sha256,
        knobs="\n".join(f"- {name}: {escape(str(value))}" for name, value in recipe.knobs.items()),
    )


def _notes(verdict: Verdict) -> list[str]:
    """What else was measured, each in a sentence."""
    notes = [verdict.forgetting.sentence] if verdict.forgetting else []
    return [*notes, mistakes_sentence(verdict.confusion)] if verdict.confusion else notes


def _figures(comparison: Comparison) -> str:
    def shown(value: float, sign: str = "") -> str:
        return f"{100 * value:{sign}.1f} %" if comparison.is_percent else f"{value:{sign}.3f}"

    before, after = shown(comparison.base), shown(comparison.tuned)
    difference, low, high = (shown(value, "+") for value in (comparison.difference, comparison.low, comparison.high))
    return f"| {escape(comparison.label)} | {before} | {after} | {difference} | {low} to {high} |"
