"""How many bytes of adapters are one person's."""

from webapp import storage
from webapp.adapters.models import AdapterVersion


def bytes_of_adapters(user_id: int) -> int:
    """Each version is a folder: its files, and the zip of the same files."""
    versions = AdapterVersion.objects.filter(adapter__owner_id=user_id).values_list("id", flat=True)
    return sum(storage.folder_bytes(storage.adapter_dir(version)) for version in versions)
