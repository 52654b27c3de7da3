"""The model card of a version, as it ships, and the snippet in it. The card is the one place both are written."""

import re

from webapp.adapters.models import AdapterVersion

_SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def card_of(version: AdapterVersion) -> str:
    """The README.md that lies beside the weights; empty if there is none."""
    path = version.files_dir / "README.md"
    return path.read_text("utf-8") if path.exists() else ""


def snippet_in(card: str) -> str:
    """The first Python block: how to load and use the adapter. Empty if the card shows none."""
    found = _SNIPPET.search(card)
    return found[1].strip() if found else ""
