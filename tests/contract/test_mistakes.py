"""Which label is taken for which, in words."""

from webapp.contract.mistakes import mistakes_of, mistakes_sentence
from webapp.contract.verdict import Confusion


def confusion(tuned: tuple[tuple[int, ...], ...]) -> Confusion:
    labels = ("river", "lake", "sea")
    return Confusion(labels=labels, base=((0, 0, 0),) * 3, tuned=tuned)


def test_the_most_frequent_mistake_comes_first() -> None:
    found = mistakes_of(("river", "lake"), ((9, 1), (7, 2)))
    assert [(one.wanted, one.answered, one.times) for one in found] == [
        ("lake", "river", "7 times"),
        ("river", "lake", "once"),
    ]


def test_the_sentence_names_it() -> None:
    said = mistakes_sentence(confusion(((5, 0, 2), (0, 5, 1), (0, 0, 5))))
    assert said == "Most often mistaken: “river” taken for “sea” (twice)."


def test_without_mistakes_it_says_so() -> None:
    assert mistakes_sentence(confusion(((5, 0, 0), (0, 5, 0), (0, 0, 0)))) == "No held-out row was given a wrong label."
