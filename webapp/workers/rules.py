"""What an admin may call a worker, label it with, and ask of it; each refusal is one sentence for a person."""

import re
from collections.abc import Iterable, Sequence

from webapp.contract.devices import Device

MOST_LABELS = 10
MOST_SLOTS = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,29}")


class Refused(Exception):
    """No, and why, in a sentence. `field` names the value that was wrong, where it was one."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


def name_read(text: str) -> str:
    """A worker's name, lower-cased. Raises Refused."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise Refused(
            f"“{name[:80]}” cannot be a worker's name. Use up to 63 letters a to z, digits, dots, dashes and "
            "underscores, beginning with a letter or digit.",
            "name",
        )
    return name


def name_from_host(host: str) -> str:
    """A host's name as a worker's: what is not allowed becomes a dash."""
    return re.sub(r"[^a-z0-9._-]", "-", host.lower()).lstrip("._-")[:63] or "worker"


def labels_read(labels: Iterable[str]) -> list[str]:
    """Lower-cased, each once, in the order given. Raises Refused."""
    read = list(dict.fromkeys(label.strip().lower() for label in labels if label.strip()))
    for label in read:
        if not _LABEL.fullmatch(label):
            raise Refused(
                f"“{label[:40]}” cannot be a label. Use up to 30 letters a to z, digits, dots, dashes and underscores, "
                "beginning with a letter or digit.",
                "labels",
            )
    if len(read) > MOST_LABELS:
        raise Refused(f"These are {len(read)} labels; a worker can have {MOST_LABELS}. Take some away.", "labels")
    return read


def most_slots(devices: Sequence[Device], num_cores: int) -> int:
    """One a GPU, else one a core; where neither is known yet, what any worker can have."""
    num_gpus = sum(device.kind == "gpu" for device in devices)
    return min(num_gpus or num_cores or MOST_SLOTS, MOST_SLOTS)


def slots_check(slots: int, devices: Sequence[Device], num_cores: int) -> int:
    """`slots` itself. Raises Refused."""
    most = most_slots(devices, num_cores)
    if not 1 <= slots <= most:
        has_gpus = any(device.kind == "gpu" for device in devices)
        why = "one for each GPU" if has_gpus else "one for each core" if num_cores else "as many as one worker can have"
        raise Refused(f"{slots} slots do not go: give 1 to {most}, {why}.", "slots")
    return slots


def default_slots(devices: Sequence[Device]) -> int:
    """One a GPU, else one: two trainings on one processor are slower than one after the other."""
    return min(max(1, sum(device.kind == "gpu" for device in devices)), MOST_SLOTS)
