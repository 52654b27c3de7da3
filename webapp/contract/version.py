"""Which versions of the words this code speaks: a worker takes only work it understands."""

from importlib.metadata import PackageNotFoundError, version

RECIPE_VERSION = 3
"""The newest recipe this code can train. A job with a newer one waits for a newer worker."""


def graftwork_version() -> str:
    """Of the installed package; `unknown` where it runs from a bare folder."""
    try:
        return version("graftwork")
    except PackageNotFoundError:
        return "unknown"
