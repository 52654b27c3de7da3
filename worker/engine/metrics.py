"""How good an answer is, row by row, from 0 to 1."""

from collections import Counter
from collections.abc import Callable

from sacrebleu.metrics.chrf import CHRF

_CHRF = CHRF()


def exact_match(answer: str, expected: str) -> float:
    """1 if both are the same but for white space."""
    return float(answer.split() == expected.split())


def token_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall over words (Rajpurkar et al. 2016, SQuAD), case kept."""
    got, wanted = answer.split(), expected.split()
    shared = sum((Counter(got) & Counter(wanted)).values())
    return 2 * shared / (len(got) + len(wanted)) if shared else 0.0


def chrf(answer: str, expected: str) -> float:
    """Character n-gram F-score (Popović 2015), as sacrebleu computes it."""
    return float(_CHRF.sentence_score(answer, [expected]).score / 100)


ROW_METRICS: dict[str, tuple[str, Callable[[str, str], float]]] = {
    "exact_match": ("exact match", exact_match),
    "token_f1": ("word overlap (F1)", token_f1),
    "chrf": ("character overlap (chrF)", chrf),
}
"""Metric -> (label, function of answer and expected text)."""
