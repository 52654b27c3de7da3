"""How good an answer is, row by row, from 0 to 1; and BLEU, which is a figure of all rows together."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from worker.engine.bootstrap import Floats

_CHRF = CHRF()
_BLEU = BLEU(effective_order=True)
_ORDERS = 4


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


def rouge_l(answer: str, expected: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004), case kept."""
    got, wanted = answer.split(), expected.split()
    shared = _common_subsequence(got, wanted)
    return 2 * shared / (len(got) + len(wanted)) if shared else 0.0


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Its length, a whole row of the usual table at once as the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        found = row & places.get(word, 0)
        row = ((row + found) | (row - found)) & every
    return len(one) - row.bit_count()


def bleu_counts(answers: Sequence[str], expected: Sequence[str]) -> Floats:
    """What BLEU (Papineni et al. 2002) counts of each row, as sacrebleu splits words: (rows, 10) of n-grams that are
    right and n-grams in all, for n from 1 to 4, and both lengths."""
    scores = [_BLEU.sentence_score(answer, [wanted]) for answer, wanted in zip(answers, expected, strict=True)]
    return np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in scores], dtype=np.float64)


def corpus_bleu(counts: Floats, weights: Floats) -> Floats:
    """BLEU (resamples,) from 0 to 1 of rows' counts (rows, 10), smoothed as sacrebleu does; orders that no answer is
    long enough for are left out."""
    sums = weights @ counts
    right, total, lengths = sums[:, :_ORDERS], sums[:, _ORDERS : 2 * _ORDERS], sums[:, 2 * _ORDERS :]
    halvings = np.cumsum((right == 0) & (total > 0), axis=1)
    precision = np.where(right > 0, right, 0.5**halvings) / np.maximum(total, 1)
    exists = total > 0
    logs = np.where(exists, np.log(precision), 0).sum(axis=1) / np.maximum(exists.sum(axis=1), 1)
    brevity = np.minimum(0, 1 - lengths[:, 1] / np.maximum(lengths[:, 0], 1e-9))
    bleu: Floats = np.where(right.sum(axis=1) > 0, np.exp(logs + brevity), 0)
    return bleu


ROW_METRICS: dict[str, tuple[str, Callable[[str, str], float]]] = {
    "exact_match": ("exact match", exact_match),
    "token_f1": ("word overlap (F1)", token_f1),
    "chrf": ("character overlap (chrF)", chrf),
    "rouge_l": ("longest common word sequence (ROUGE-L)", rouge_l),
}
"""Metric -> (label, function of answer and expected text)."""
