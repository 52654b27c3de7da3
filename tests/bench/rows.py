"""The real rows that the presets are measured on, read from the packages that ship them. No network."""

import csv
import gzip
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, NamedTuple

from sklearn.datasets import load_breast_cancer

from webapp.contract.tasks import Task
from webapp.samples.catalogue import sample_path

Row = dict[str, Any]
SMOLLM2, MINILM = "smollm2-135m-instruct", "minilm-l6"


class BenchRows(NamedTuple):
    """A dataset of the bench: what is learnt, where the rows come from, and how to read them."""

    task: Task
    base_model: str
    seeds: tuple[int, ...]
    sentence: str
    read: Callable[[], list[Row]]


def dates() -> list[Row]:
    return _sample("dates", "written", "iso", 200)


def kinds() -> list[Row]:
    return _sample("kinds", "name", "kind", 300)


def past_tense() -> list[Row]:
    """Half of them verbs that do not just take "ed"."""
    inflected = [line.split(",") for line in _lexicon("infl_lu.csv.gz")]
    past = {
        word: forms[0].split("/")[0]
        for word, kind, *forms in inflected
        if kind == "verb" and word.isalpha() and word.islower() and 3 <= len(word) <= 8 and forms[0]
    }
    plain = {word for word, form in past.items() if form == word + "ed"}
    chosen = [*_some(past.keys() - plain, 100), *_some(plain, 100)]
    return [_row(word, past[word]) for word in chosen]


def tumours() -> list[Row]:
    """Wisconsin's breast cancer rows, four of their thirty figures, as text."""
    data = load_breast_cancer()
    figures = ["mean radius", "mean texture", "mean concavity", "worst area"]
    columns = [list(data.feature_names).index(name) for name in figures]
    rows = {
        ", ".join(f"{name} {row[column]:.3g}" for name, column in zip(figures, columns, strict=True)):
            str(data.target_names[answer])
        for row, answer in zip(data.data, data.target, strict=True)
    }  # fmt: skip
    return [_row(text, rows[text]) for text in _some(rows, 200)]


def feelings() -> list[Row]:
    """Words that ten people found good or bad, on the average by one and a half of four points."""
    lines = (files("vaderSentiment") / "vader_lexicon.txt").read_text().splitlines()
    points = {word: float(mean) for word, mean, *_rest in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}
    words = {word for word, mean in points.items() if word.isalpha() and word.islower() and abs(mean) >= 1.5}
    return [_row(word, "good" if points[word] > 0 else "bad") for word in _some(words, 300)]


def word_classes() -> list[Row]:
    classes: dict[str, set[str]] = {}
    for line in _lexicon("infl_lu.csv.gz"):
        word, kind = line.split(",")[:2]
        classes.setdefault(word, set()).add(kind)
    one_class = {word: next(iter(kinds)) for word, kinds in classes.items() if len(kinds) == 1}
    wanted = ("noun", "verb", "adj", "adv")
    words = [
        word
        for kind in wanted
        for word in _some(
            (one for one, its in one_class.items() if its == kind and one.isalpha() and one.islower()), 75
        )
    ]
    return [_row(word, one_class[word]) for word in words]


BENCH_ROWS: dict[str, BenchRows] = {
    "dates": BenchRows("generate", SMOLLM2, (17,), "a date in six languages -> ISO (Babel, CLDR)", dates),
    "past tense": BenchRows("generate", SMOLLM2, (17,), "a verb -> its past tense (lemminflect, NIH's)", past_tense),
    "tumours": BenchRows("generate", SMOLLM2, (17,), "four figures -> benign, malignant (scikit-learn)", tumours),
    "kinds": BenchRows("classify", MINILM, (17, 18, 19), "a name -> one of six kinds (Babel, CLDR)", kinds),
    "feelings": BenchRows("classify", MINILM, (17, 18, 19), "a word -> good or bad (vaderSentiment)", feelings),
    "word classes": BenchRows(
        "classify", MINILM, (17, 18, 19), "a word -> its class (lemminflect, NIH's)", word_classes
    ),
}


def _sample(sample_id: str, source: str, target: str, how_many: int) -> list[Row]:
    with sample_path(sample_id).open(newline="") as file:
        rows = {line[source]: line[target] for line in csv.DictReader(file)}
    return [_row(text, rows[text]) for text in _some(rows, how_many)]


def _lexicon(name: str) -> Iterator[str]:
    """The lines of a table in lemminflect, which is only read: importing it is not needed."""
    packed = (files("lemminflect") / "resources" / name).read_bytes()
    yield from gzip.decompress(packed).decode().splitlines()


def _row(text: str, answer: str) -> Row:
    return {"input": text, "output": answer, "messages": None}


def _some(texts: Any, how_many: int) -> list[str]:
    """So many, at random but always the same."""
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())[:how_many]
