"""The model card of a version, as it ships, and the code that uses the adapter."""

from webapp.adapters.models import AdapterVersion
from webapp.contract.job_dir import Manifest

_BEGIN, _END = "\n## Use it\n\n```python\n", "\n```\n\n## How it was made\n"


def card_of(version: AdapterVersion) -> str:
    """The README.md that lies beside the weights; empty if there is none."""
    path = version.files_dir / "README.md"
    return path.read_text("utf-8") if path.exists() else ""


def snippet_of(manifest: Manifest, card: str) -> str:
    """The code, as the engine recorded it in the manifest. Adapters of an older version have it in their card alone:
    from there it is taken only where nobody's words can be mistaken for it. Empty if there is none."""
    return manifest.snippet or _snippet_in(card)


def _snippet_in(card: str) -> str:
    """What stands under the heading that the engine wrote. In a card with a second such heading, one of the two was
    written by somebody who chose a name for it."""
    _before, *parts = card.split(_BEGIN)
    if len(parts) != 1:
        return ""
    code, found, _after = parts[0].partition(_END)
    return code.strip() if found else ""
