"""Which versions of the words this code speaks: a worker takes only work it understands."""

from importlib.metadata import PackageNotFoundError, version

RECIPE_VERSION = 4
"""The newest recipe this code can train. A job with a newer one waits for a newer worker."""

TEXT_VERSION = 2
"""How conversations become tokens. 1: prompt and answer each by itself, after the first plain template. 2: all of it as
one text; plain templates begin as the tokenizer does, and what a template writes before an answer is not learnt. An
adapter keeps the version it was trained with: in its manifest, beside its template."""


def graftwork_version() -> str:
    """Of the installed package; `unknown` where it runs from a bare folder."""
    try:
        return version("graftwork")
    except PackageNotFoundError:
        return "unknown"
