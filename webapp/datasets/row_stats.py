"""What a dataset's rows are like, counted while they pass by."""

from collections import Counter
from typing import Any

from webapp.contract.rows import Row, RowProblem

MAX_LABELS = 100
MAX_LABEL_CHARS = 60
ROWS_A_LABEL = 4
"""Outputs are taken for labels where each stands for this many rows on average."""


class Lengths:
    """How many texts have up to 8, 16, 32, … characters."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._longest = 0
        self._total = 0

    def add(self, text: str) -> None:
        length = len(text)
        self._counts[max(3, (length - 1).bit_length())] += 1
        self._longest = max(self._longest, length)
        self._total += length

    def as_json(self) -> dict[str, Any]:
        """{"bins": [{"low", "high", "rows"}], "longest", "mean"}; bins from the first used to the last."""
        powers = range(min(self._counts, default=3), max(self._counts, default=2) + 1)
        bins = [
            {"low": 1 if power == 3 else 2 ** (power - 1) + 1, "high": 2**power, "rows": self._counts[power]}
            for power in powers
        ]
        num_rows = sum(self._counts.values())
        return {"bins": bins, "longest": self._longest, "mean": round(self._total / num_rows) if num_rows else 0}


class RowStats:
    """Add every row, then ask. An input seen before counts as a duplicate, whatever its case and spacing."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._inputs: set[int] = set()
        self._outputs: Counter[str] | None = Counter()
        self._lengths = {"input": Lengths(), "output": Lengths()}

    def add(self, row: Row, identity: str) -> None:
        """`identity` is what the split compares: the input, or all of a conversation."""
        self.num_rows += 1
        self._inputs.add(hash(" ".join(identity.casefold().split())))
        self._lengths["input"].add(row.input)
        self._lengths["output"].add(row.output)
        if self._outputs is None:
            return
        self._outputs[row.output] += 1
        if len(self._outputs) > MAX_LABELS or len(row.output) > MAX_LABEL_CHARS or row.messages is not None:
            self._outputs = None

    @property
    def num_different(self) -> int:
        return len(self._inputs)

    @property
    def labels(self) -> dict[str, int]:
        """Label -> rows, most common first; empty where outputs are no labels."""
        outputs = self._outputs or Counter[str]()
        is_repeating = len(outputs) >= 2 and len(outputs) * ROWS_A_LABEL <= self.num_rows
        return dict(outputs.most_common()) if is_repeating else {}

    @property
    def lengths(self) -> dict[str, dict[str, Any]]:
        return {role: lengths.as_json() for role, lengths in self._lengths.items()}

    def warnings(self) -> list[RowProblem]:
        """What is allowed and yet worth a look."""
        found = []
        duplicates = self.num_rows - self.num_different
        if duplicates * 2 > self.num_rows:
            message = f"{duplicates:,} of {self.num_rows:,} rows repeat the input of another row."
            hint = "Rows of one input never stand on two sides of the split; more different rows teach more."
            found.append(RowProblem(code="duplicates", message=message, hint=hint))
        return found + self._label_warnings()

    def _label_warnings(self) -> list[RowProblem]:
        found = []
        first: dict[str, str] = {}
        for label, count in self.labels.items():
            other = first.setdefault(" ".join(label.casefold().split()), label)
            if other != label:
                message = f"The labels “{other}” and “{label}” differ only in case or spaces."
                hint = "They count as two labels. Write them alike if they mean the same."
                found.append(RowProblem(code="labels_alike", message=message, hint=hint))
            if count < 3:
                message = f"Only {count} of the rows {'has' if count == 1 else 'have'} the label “{label}”."
                hint = "A label needs examples on every side of the split; add rows or leave the label out."
                found.append(RowProblem(code="rare_label", message=message, hint=hint))
        return found
